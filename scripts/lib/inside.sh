# Run by scripts/service in its container: installs the agent as README says, with a profile for the lab.
set -eu
cd /run/in
install -m 755 tunnelward lab /usr/local/bin/
install -m 644 tunnelward.service tunnelward@.service mcp-stdio.socket mcp-stdio@.service /etc/systemd/system/
install -m 644 -D tunnelward.sysusers /etc/sysusers.d/tunnelward.conf
install -m 644 -D tunnelward.tmpfiles /etc/tmpfiles.d/tunnelward.conf
userdel tunnelward 2>/dev/null || true
systemd-sysusers
systemd-tmpfiles --create tunnelward.conf
# The lab's control plane is on loopback, where plain http is allowed; its key is given as a credential.
cat >/etc/tunnelward/profile.yaml <<YAML
config_version: 1
control_plane:
  base_url: http://127.0.0.1:4180
  tunnel_id: tunnel_0123456789abcdef0123456789abcdef
  api_key: credential:api-key
mcp:
  commands:
    - {channel: main, command: "/usr/local/bin/lab stub-stdio"}
YAML
chown root:tunnelward /etc/tunnelward/profile.yaml
chmod 640 /etc/tunnelward/profile.yaml
mkdir -p /etc/systemd/system/tunnelward.service.d
# The times are short, so that it can be seen that they do not matter, or do.
cat >/etc/systemd/system/tunnelward.service.d/50-test.conf <<UNIT
[Service]
LoadCredential=api-key:/etc/tunnelward/api-key
TimeoutStartSec=5
WatchdogSec=30
UNIT
echo sk-wrong >/etc/tunnelward/api-key
chmod 600 /etc/tunnelward/api-key
systemctl daemon-reload
