# Run by scripts/service in its container: installs the agent from the archive of the release as README says, and
# configures it for a control plane of the lab.
set -eu
cd /run/in
units=/etc/systemd/system

# profile BINDING: the key is a credential, since the agent's user cannot read the file.
profile() {
    cat >/etc/tunnelward/profile.yaml <<YAML
config_version: 1
control_plane:
  base_url: http://127.0.0.1:4180
  tunnel_id: tunnel_0123456789abcdef0123456789abcdef
  api_key: credential:api-key
mcp:
  $1
YAML
    chown root:tunnelward /etc/tunnelward/profile.yaml
    chmod 640 /etc/tunnelward/profile.yaml
}
stdio() { profile "commands: [{channel: main, command: \"$1\"$2}]"; }
# server PROGRAM: what mcp-stdio@.service starts.
server() {
    mkdir -p $units/mcp-stdio@.service.d
    printf '[Service]\nExecStart=\nExecStart=%s\n' "$1" >$units/mcp-stdio@.service.d/server.conf
}
node="/usr/bin/node /opt/mcp/node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio"
python="/opt/python/bin/python -m mcp_server_time --local-timezone=UTC"
# drop_in NAME: the one of them that is in force.
drop_in() {
    rm -f $units/tunnelward.service.d/[12]0-*.conf
    [ -z "$1" ] || cp "/usr/local/share/tunnelward/systemd/$1" $units/tunnelward.service.d/
}

case $1 in
    archive)
        # What the machine has that the container is a copy of is not what is looked at.
        userdel tunnelward 2>/dev/null || true
        rm -rf /etc/tunnelward /usr/local/bin/tunnelward
        install -m 755 lab /usr/local/bin/
        tar -xzf tunnelward-*.tar.gz -C /root
        ;;
    stub)
        stdio "/usr/local/bin/lab stub-stdio" ""
        mkdir -p $units/tunnelward.service.d
        # A short start shows that it is extended; a short watchdog shortens this script.
        cat >$units/tunnelward.service.d/50-test.conf <<UNIT
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
        stdio "$node" ""
        drop_in 10-node.conf
        ;;
    python)
        cp -r /run/python /opt/python
        stdio "$python" ""
        drop_in 20-python.conf
        ;;
    socket-node)
        stdio "/usr/bin/socat STDIO UNIX-CONNECT:/run/mcp-stdio.sock" ", confinement: {unix_sockets: true}"
        drop_in ""
        server "$node"
        ;;
    socket-python)
        server "$python"
        ;;
    http)
        # A secret of each kind: what an installer must see as the service does.
        profile "server_urls: [{channel: main, url: \"$2\"}]
  extra_headers: {X-Lab: \"env:LAB_WORD\"}"
        echo 'LAB_WORD="a word"' >/etc/tunnelward/environment
        printf '[Service]\nEnvironmentFile=/etc/tunnelward/environment\nEnvironment="LAB_OTHER=a b"\n' \
            >$units/tunnelward.service.d/60-environment.conf
        # And another service for the same tunnel.
        cp -p /etc/tunnelward/profile.yaml /etc/tunnelward/second.yaml
        cp -r $units/tunnelward.service.d $units/tunnelward@.service.d
        ;;
    newer)
        # The same version in a binary with other bytes, as a machine sees a newer one.
        cp -r /root/tunnelward-*/ /run/newer
        cd /run/newer
        printf 'newer' >>bin/tunnelward
        sed 's/^[0-9a-f]*\(  bin.tunnelward\)$/'"$(sha256sum bin/tunnelward | cut -d' ' -f1)"'\1/' SHA256SUMS >sums
        mv sums SHA256SUMS
        ;;
esac
systemctl daemon-reload
