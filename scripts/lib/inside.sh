# Run by scripts/service in its container: installs the agent as README says, for a control plane of the lab.
set -eu
cd /run/in
install -m 755 tunnelward lab /usr/local/bin/
install -m 644 tunnelward.service tunnelward@.service mcp-stdio.socket mcp-stdio@.service /etc/systemd/system/
install -m 644 -D tunnelward.sysusers /etc/sysusers.d/tunnelward.conf
install -m 644 -D tunnelward.tmpfiles /etc/tmpfiles.d/tunnelward.conf
userdel tunnelward 2>/dev/null || true
systemd-sysusers
systemd-tmpfiles --create tunnelward.conf

# profile SERVER MORE: one MCP server; the key is a credential, since the agent's user cannot read the file.
profile() {
    cat >/etc/tunnelward/profile.yaml <<YAML
config_version: 1
control_plane:
  base_url: http://127.0.0.1:4180
  tunnel_id: tunnel_0123456789abcdef0123456789abcdef
  api_key: credential:api-key
mcp:
  commands:
    - {channel: main, command: "$1"$2}
YAML
    chown root:tunnelward /etc/tunnelward/profile.yaml
    chmod 640 /etc/tunnelward/profile.yaml
}
node="/usr/bin/node /opt/mcp/node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio"

case $1 in
    stub)
        profile "/usr/local/bin/lab stub-stdio" ""
        mkdir -p /etc/systemd/system/tunnelward.service.d
        # A short start shows that it is extended; a short watchdog shortens this script.
        cat >/etc/systemd/system/tunnelward.service.d/50-test.conf <<UNIT
[Service]
LoadCredential=api-key:/etc/tunnelward/api-key
TimeoutStartSec=5
WatchdogSec=30
UNIT
        lab serve --stay --port 4180 --dir /run/lab </dev/null >/run/lab.json 2>/dev/null &
        # Only its key is needed for now.
        while ! [ -s /run/lab.json ]; do sleep 0.1; done
        kill $!
        install -m 600 /run/lab/api-key /etc/tunnelward/api-key
        ;;
    node)
        cp -r /run/node /opt/mcp
        profile "$node" ""
        install -m 644 10-node.conf /etc/systemd/system/tunnelward.service.d/
        ;;
    socket)
        profile "/usr/bin/socat STDIO UNIX-CONNECT:/run/mcp-stdio.sock" ", confinement: {unix_sockets: true}"
        rm /etc/systemd/system/tunnelward.service.d/10-node.conf
        mkdir -p /etc/systemd/system/mcp-stdio@.service.d
        printf '[Service]\nExecStart=\nExecStart=%s\n' "$node" >/etc/systemd/system/mcp-stdio@.service.d/server.conf
        ;;
esac
systemctl daemon-reload
