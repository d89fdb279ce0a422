"""Fails unless every pod of the manifests would be admitted by the restricted profile of the pod security standards, and is
asked and stopped as the agent needs it.

    restricted.py MANIFEST...
"""

import sys

import yaml

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def problems(pod):
    own = pod.get("securityContext", {})
    yield from (f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    if own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccomp profile"
    if not own.get("runAsNonRoot") or not own.get("runAsUser"):
        yield "may run as root"
    for volume in pod.get("volumes", []):
        if set(volume) - {"name"} - VOLUMES:
            yield f"the volume {volume['name']} is of another kind"
    for container in pod["containers"] + pod.get("initContainers", []):
        name, context = container["name"], container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{name}: may gain privileges"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: has capabilities"
        if not context.get("readOnlyRootFilesystem"):
            yield f"{name}: its root file system can be written"
        if context.get("runAsUser") == 0 or "seccompProfile" in context or "hostPort" in str(container.get("ports")):
            yield f"{name}: is given more than the pod"
    agent = next((c for c in pod["containers"] if c["name"] == "tunnelward"), {})
    for probe, command in (("livenessProbe", "health"), ("readinessProbe", "ready")):
        if agent.get(probe, {}).get("exec", {}).get("command", [])[:2] != ["/usr/local/bin/tunnelward", command]:
            yield f"{probe} does not ask the agent"
    if pod.get("terminationGracePeriodSeconds") != 60 or pod.get("automountServiceAccountToken") is not False:
        yield "is not stopped after 60 seconds, or has a token of the cluster"


found = 0
for path in sys.argv[1:]:
    for part in yaml.safe_load_all(open(path)):
        if part["kind"] == "Deployment":
            found += 1
            for problem in problems(part["spec"]["template"]["spec"]):
                sys.exit(f"!!! {path}: {problem}")
if found != len(sys.argv) - 1:
    sys.exit("!!! a manifest without a deployment")
