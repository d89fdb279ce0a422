# Sourced by scripts/service: `doctor` on an installed machine while the service runs, as its operator comes to it.

# What README says to type.
as_the_service=$(sed -n '/^    { systemctl cat tunnelward /,/^$/s/^    //p' "$ROOT/README.md")
# at_a_shell ARGUMENTS...: what a command says is in $dir/said.
at_a_shell() { inside "$@" >"$dir/said" 2>&1; }
found() { grep -Eq "^CHECK $1 +$2( |\$)" "$dir/said" || { cat "$dir/said" >&2; false; }; }
weakened=/etc/systemd/system/tunnelward.service.d/90-weak.conf

doctor_as_the_operator_runs_it() {
    local advice before
    [ -n "$as_the_service" ] || fail "README does not say how to run doctor as the service runs"
    before=$(property MainPID)
    must "at a shell it fails" eval '! at_a_shell tunnelward doctor --explain --config /etc/tunnelward/profile.yaml'
    must "for want of the key" found control_plane_api_key FAIL
    must "the unit is not what it was started by" found unit SKIP
    advice=$(sed -n 's/^ *run: \(systemd-run .*LoadCredential=.*\)$/\1/p' "$dir/said" | head -1)
    must "it says how to give it the key" [ -n "$advice" ]
    at_a_shell sh -c "${advice/<FILE>//etc/tunnelward/api-key}" || true
    must "with the key the control plane knows it" found control_plane PASS

    at_a_shell sh -c "$as_the_service" || true
    must "as the service runs, the unit is hardened" found unit PASS
    must "the control plane knows the key" found control_plane PASS
    must "the service holds the listener" found health_listener PASS
    must "it says so" said "held by the running service"
    must "nothing fails" eval '! grep -q "^CHECK .* FAIL" "$dir/said" || { cat "$dir/said" >&2; false; }'

    inside sh -c "printf '[Service]\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n' >$weakened && systemctl daemon-reload"
    at_a_shell sh -c "$as_the_service" || true
    must "a drop-in that leaves a capability is found" found unit FAIL
    must "by its name" said "lacks CapabilityBoundingSet="
    must "and where to look for it" said "run: systemctl cat tunnelward"
    inside sh -c "rm $weakened && systemctl daemon-reload"
    at_a_shell sh -c "$as_the_service" || true
    must "without it the unit is hardened again" found unit PASS
    must "nothing is left of the second unit" absent /run/systemd/system/tunnelward-doctor.service
    must "the service has not noticed" is MainPID "$before"
    must "calls are answered" calls no
}
