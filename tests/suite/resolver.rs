//! Files of the resolver that are replaced, in a mount namespace of the test's own.

use std::process::{Command, Stdio};

use crate::place;

/// Starts the agent, replaces a file of the resolver the way a DHCP client does, and shows its log.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs none "$1"; cp -L /etc/hosts /etc/passwd /etc/group "$1"/; cp -L /etc/resolv.conf "$1"/ || : >"$1"/resolv.conf
echo 'options timeout:1 attempts:1' >"$1"/resolv.conf
chmod 755 "$1"; mkdir -p "$1"/ssl; mount --bind "$1" /etc
"$2" run --config "$3" 2>"$3.log" & agent=$!
for n in $(seq 100); do grep -q 'could not be resolved' "$3.log" && break; sleep 0.1; done
cp /etc/hosts /etc/hosts.new; echo '127.0.0.1 plane.test' >>/etc/hosts.new; mv /etc/hosts.new /etc/hosts
for n in $(seq 300); do grep -q 'connection refused' "$3.log" && break; sleep 0.1; done
for n in $(seq 200); do grep -q 'pid=' "$3.log" && [ "$(grep -c 'worker confined' "$3.log")" -ge 2 ] && break; sleep 0.1; done
kill $agent; wait $agent || echo "exit $?"
cat "$3.log"
"#;

#[test]
fn a_resolver_file_that_is_replaced_brings_a_new_worker_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "sk-key").unwrap();
    let config = dir.path().join("config.yaml");
    let yaml = format!(
        "control_plane: {{base_url: \"https://plane.test:9\", tunnel_id: tunnel_0123456789abcdef0123456789abcdef, \
         api_key: \"file:{}\"}}\nlog: {{format: struct-text}}\nmcp: {{server_urls: [{{url: \"http://127.0.0.1:8\"}}]}}\n\
         confinement: {{user: \"{}\"}}\n",
        key.display(),
        crate::agent::SOMEBODY
    );
    std::fs::write(&config, yaml).unwrap();
    let etc = dir.path().join("etc");
    std::fs::create_dir(&etc).unwrap();
    #[allow(clippy::disallowed_methods, reason = "only the agent has one place that starts processes")]
    let ran = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", SCRIPT, "bash"])
        .arg(&etc)
        .arg(place::agent())
        .arg(&config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{log}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(log.contains("the files of the resolver were replaced"), "{log}");
    assert!(log.matches("worker confined").count() >= 2, "{log}");
    // What only the new file says is known, so the new worker can read it.
    assert!(log.contains("connection refused"), "{log}");
    assert!(!log.contains("worker died") && !log.contains("exit "), "{log}");
}
