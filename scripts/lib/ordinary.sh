# Sourced by scripts/test: the tests as a user without any right beyond its own.

# What only root's run shows: "TEST: REASON". Such a test is left out here, by its name, and never by itself.
NEEDS_ROOT=(
    "processes::the_worker_inherits_a_socket_to_the_broker_and_nothing_else: reads environ and fd of the worker, closed to its own user"
    "processes::the_broker_is_the_process_that_was_started_and_has_one_thread_and_no_network: reads fd of the broker, closed to its own user"
    "processes::nothing_of_the_environment_is_left_in_the_broker: reads environ of the broker, closed to its own user"
    "resolver::a_resolver_file_that_is_replaced_brings_a_new_worker_and_loses_nothing: makes a mount namespace"
    "kill::a_worker_that_dies_again_and_again_is_started_slowly_and_still_serves: counts the fd of the broker"
    "cases_i_life::a_server_that_ends_is_replaced_and_the_agent_stays_without_keeping_anything_of_it: counts the fd of broker and worker"
    "names::names_are_asked_for_over_udp: replaces /etc in a mount namespace, and becomes somebody there"
    "names::an_answer_that_does_not_fit_into_udp_is_asked_for_over_tcp: replaces /etc in a mount namespace, and becomes somebody there"
    "audit::on_a_full_disk_calls_are_refused_and_with_room_they_are_forwarded_again: mounts a small file system in a mount namespace"
    "audit::on_a_full_disk_the_agent_stops_with_73_if_it_is_told_to: mounts a small file system in a mount namespace"
    "audit::on_a_full_disk_calls_go_on_unrecorded_if_they_are_told_to: mounts a small file system in a mount namespace"
    "readiness::an_audit_log_that_cannot_be_written: mounts a small file system in a mount namespace"
)
NEEDS_NETWORK=(
    "resolution::hosts_and_search_domains_work_and_names_are_looked_up_anew_for_every_connection"
    "resolution::only_addresses_of_allowed_ips_are_connected_to_and_metadata_addresses_never"
    "resolution::a_host_with_ipv6_alone_works_with_names_literals_and_proxies"
    "proxy_routes::each_route_takes_the_nearest_proxy_and_an_explicit_one_ignores_no_proxy"
    "drop_in::a_profile_with_every_section_runs_unchanged"
    "names_cut::a_network_that_is_cut_and_healed_is_used_again_within_15_seconds"
    "watchdog::a_network_that_is_cut_for_long_does_not_trip_the_watchdog"
    "journal::the_journal_gets_fields_from_all_processes_and_stderr_nothing"
    "journal::an_inherited_variable_does_not_send_the_log_elsewhere"
    "journal::a_journal_that_goes_away_leaves_lines_on_stderr"
    "interop::everything_over_http_answers_as_directly_and_its_session_ends"
    "interop::everything_over_http_answers_as_directly_to_a_client_that_probes_for_the_newer_era"
    "interop::the_python_sdk_over_http_answers_as_directly_in_both_eras_and_its_session_ends"
)

# The command before each command of an ordinary user, and the variables of its tests.
AS_USER=()
SUITE=()

# What everything here is about: another user, nobody, with no group but its own, without capabilities and with no way
# to gain any, and with nothing of root's environment. The number needs no entry in /etc/passwd.
become_nobody() {
    local home=$1
    AS_USER=(
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs
        env -i "PATH=$PATH" "HOME=$home" "TMPDIR=$home"
    )
}

# Where an ordinary user may have no network of its own, the servers over HTTP, which listen on every interface, are not
# started, and the others use the machine's loopback.
consider_network() {
    "${AS_USER[@]}" unshare --map-root-user --net --mount true 2>/dev/null && return 0
    local test
    for test in "${NEEDS_NETWORK[@]}"; do
        NEEDS_ROOT+=("$test: this machine lets only root make a network namespace")
    done
    SUITE+=(TUNNELWARD_SUITE_NETWORK=shared)
}

# Says what is left out, and sets SKIP to the arguments that do it.
leave_out_what_needs_root() {
    local line
    say "left out, because only root can show them: ${#NEEDS_ROOT[@]} tests"
    SKIP=(--exact)
    for line in "${NEEDS_ROOT[@]}"; do
        printf '    %s\n' "$line" >&2
        SKIP+=(--skip "${line%%: *}")
    done
}

# passed COUNT COMMAND...: runs it with its output shown. Fails if it fails, if a test was ignored, or if not exactly
# so many were left out: a test of the list that was renamed would look into a process again, or not be run by anyone.
passed() {
    local count=$1 log
    shift
    log=$(mktemp)
    TRASH+=("$log")
    "$@" 2>&1 | tee "$log"
    if grep -E '^test result: .* [1-9][0-9]* ignored' "$log"; then
        fail "tests were skipped"
    fi
    grep -Eq "^test result: ok\. [1-9][0-9]* passed; .* $count filtered out" "$log" ||
        fail "not $count tests were left out: scripts/lib/ordinary.sh names tests that do not exist"
}

# What `cargo test` built, a line for each program: what it is, and its path.
built() {
    cargo test --quiet --locked --no-run --message-format=json | python3 -c '
import json, sys
names = {("lib", True): "unit", ("test", True): "suite", ("bin", False): "agent"}
for message in map(json.loads, sys.stdin):
    if message.get("reason") == "compiler-artifact" and message["executable"]:
        target = message["target"]
        name = names.get((target["kind"][0], message["profile"]["test"]))
        if target["kind"] == ["example"]:
            name = target["name"]
        if name:
            print(name, message["executable"])'
}

# Run by root after its own tests: unit and integration tests as nobody, from a copy that everyone can read.
test_as_nobody() {
    local copy programs name path threads
    programs=$(built)
    copy=$(mktemp -d /var/tmp/tunnelward-ordinary-XXXXXX)
    TRASH+=("$copy")
    mkdir -p "$copy/target/debug/deps" "$copy/target/debug/examples" "$copy/home"
    cp -R src tests policy README.md SECURITY.md "$copy"
    while read -r name path; do
        case $name in
            unit | suite) cp "$path" "$copy/target/debug/deps/$name" ;;
            agent) cp "$path" "$copy/target/debug/tunnelward" ;;
            lab | redteam) cp "$path" "$copy/target/debug/examples/$name" ;;
        esac
    done <<<"$programs"
    # The suite builds a lab that is older than itself.
    touch --no-create "$copy/target/debug/examples/lab"
    chmod -R a+rX "$copy"
    chown 65534:65534 "$copy/home"

    say "the tests once more, as user 65534"
    become_nobody "$copy/home"
    SUITE=("TUNNELWARD_SUITE_ROOT=$copy" "TUNNELWARD_INTEROP=$TUNNELWARD_INTEROP")
    consider_network
    for path in "$TUNNELWARD_INTEROP/python/bin/python" "$(command -v node)"; do
        "${AS_USER[@]}" test -x "$path" || fail "$path is out of reach for an ordinary user"
    done
    leave_out_what_needs_root
    # They wait most of the time, and are to take half as long as root's run.
    threads=--test-threads=$((2 * $(nproc)))
    cd "$copy"
    passed 0 "${AS_USER[@]}" target/debug/deps/unit "$threads"
    passed "${#NEEDS_ROOT[@]}" "${AS_USER[@]}" "${SUITE[@]}" target/debug/deps/suite "$threads" "${SKIP[@]}"
    cd "$ROOT"
}

# Run by an ordinary user, in place of everything that root's run does.
test_as_myself() {
    say "the tests, as user $(id -u): root's run shows more"
    AS_USER=(env)
    consider_network
    leave_out_what_needs_root
    passed "${#NEEDS_ROOT[@]}" env "${SUITE[@]}" cargo test --locked -- "${SKIP[@]}"
}
