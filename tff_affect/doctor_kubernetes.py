"""What `tff_affect.doctor_jobs` looks for in Kubernetes manifests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from tff_affect.doctor import Check
from tff_affect.doctor_jobs import Command, checked, commands_of, first, listens_on, split_words, transport

_SETS = ("StatefulSet", "Deployment", "DaemonSet", "Job", "Pod")
_OPEN = ("NodePort", "LoadBalancer")
_LEAST_GRACE = 30
_PRIVATE_COPY = re.compile(r"(install\s.*-m\s*|chmod\s+)0?[46]00\b")


@dataclass(frozen=True)
class _Pods:
    """Pods of one kind, and the command of this package that they run.

    Attributes:
        kind: Of the object that makes them.
        name: Of that object.
        top: Its ``spec``.
        labels: Of the pods.
        spec: Of the pods.
        container: That runs the command.
        command: The command.
    """

    kind: str
    name: str
    top: dict[str, Any]
    labels: dict[str, str]
    spec: dict[str, Any]
    container: dict[str, Any]
    command: Command

    @property
    def replicas(self) -> int:
        """How many there are."""
        replicas = self.top.get("replicas", 1)
        if not isinstance(replicas, int):
            raise TypeError(replicas)
        return replicas

    @property
    def port(self) -> int | None:
        """Where a worker listens."""
        found = listens_on(self.command)
        return found[1] if found else None

    def volume_at(self, path: str | None) -> tuple[dict[str, Any], str]:
        """The volume on which a path lies, and where it is mounted; nothing where it lies on none."""
        mounts = [mount for mount in _list(self.container, "volumeMounts") if _is_below(path, mount.get("mountPath"))]
        if not mounts:
            return {}, ""
        mount = max(mounts, key=lambda one: len(str(one["mountPath"])))
        templates = [_at(claim, "metadata", "name") for claim in _list(self.top, "volumeClaimTemplates")]
        if mount.get("name") in templates:
            return {"name": mount["name"], "persistentVolumeClaim": {}}, str(mount["mountPath"])
        named = [volume for volume in _list(self.spec, "volumes") if volume.get("name") == mount.get("name")]
        return (named[0] if named else {}), str(mount["mountPath"])


def diagnose_manifests(documents: Sequence[Any]) -> list[Check]:
    """Looks at the documents of one file together.

    Raises:
        ValueError: If one is no manifest, or nothing starts a worker or a driver.
    """
    manifests = [document for document in documents if document is not None]
    for document in manifests:
        if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
            raise ValueError("expected a Slurm script (#! and #SBATCH) or YAML documents with apiVersion and kind")
    try:
        return _diagnosed(manifests)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            "expected manifests of the form that Kubernetes takes; see what 'kubectl apply --dry-run=client -f' says"
        ) from error


def _diagnosed(manifests: Sequence[dict[str, Any]]) -> list[Check]:
    pods = [found for manifest in manifests for found in _pods(manifest)]
    served = [one for one in pods if one.command.name == "worker serve"]
    driven = [one for one in pods if one.command.name == "train"]
    if not served and not driven:
        raise ValueError("expected 'tff-affect worker serve' or 'tff-affect train', found neither")
    checks = [check for one in served for check in _of_workers(one, manifests)]
    checks += [check for one in driven for check in _of_the_driver(one)]
    checks += [check for one in (*served, *driven) for check in _of_all(one)]
    checks.append(_check_outside(manifests, served))
    return checks + (list(_of_the_addresses(manifests, served)) if served else [])


def _at(value: Any, *keys: str) -> Any:
    """What lies below keys; None where something on the way is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any, *keys: str) -> list[dict[str, Any]]:
    found = _at(value, *keys)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _dict(value: Any, *keys: str) -> dict[str, Any]:
    found = _at(value, *keys)
    return found if isinstance(found, dict) else {}


def _is_below(path: str | None, folder: Any) -> bool:
    return path is not None and folder is not None and PurePosixPath(path).is_relative_to(str(folder))


def _words(container: dict[str, Any]) -> list[str]:
    given = [*(container.get("command") or []), *(container.get("args") or [])]
    words = [str(word) for word in given]
    inside = [split_words(word) if "tff-affect " in word else [word] for word in words]
    return [word for part in inside for word in part]


def _pods(manifest: dict[str, Any]) -> Iterator[_Pods]:
    if manifest["kind"] not in _SETS:
        return
    top = _dict(manifest, "spec")
    template = manifest if manifest["kind"] == "Pod" else _dict(top, "template")
    spec, labels = _dict(template, "spec"), _dict(template, "metadata", "labels")
    for container in _list(spec, "containers"):
        for command in commands_of(_words(container)):
            name = str(_at(manifest, "metadata", "name"))
            yield _Pods(str(manifest["kind"]), name, top, labels, spec, container, command)


def _of_workers(pods: _Pods, manifests: Sequence[dict[str, Any]]) -> Iterator[Check]:
    name, port = f"{pods.name}: ", pods.port
    yield checked(f"{name}TLS", transport(pods.command), "--certificates", "--certificates",
                  "add --certificates DIR, made by 'tff-affect worker cert'")  # fmt: skip
    wrong = _unguarded(pods, manifests)
    yield checked(
        f"{name}NetworkPolicy", wrong, f"the driver alone reaches {port}", "one that lets the driver alone reach TLS",
        "add a NetworkPolicy on the workers' labels: from a podSelector, and ports: the one of --listen",
    )  # fmt: skip
    probe = _at(pods.container, "readinessProbe", "tcpSocket", "port")
    names = {entry.get("name"): entry.get("containerPort") for entry in _list(pods.container, "ports")}
    asked = names.get(probe, probe)
    wrong = "" if asked is not None and asked == port else f"asks at {asked}"
    yield checked(f"{name}readiness", wrong, f"asks at {port}", "a tcpSocket at the port of --listen",
                  f"readinessProbe: {{tcpSocket: {{port: {port}}}}}")  # fmt: skip


def _unguarded(pods: _Pods, manifests: Sequence[dict[str, Any]]) -> str:
    """Why more than the driver reaches more than the workers' TLS; empty if not so."""
    policies = [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]
    chosen = [policy for policy in policies if _selects(_at(policy, "spec", "podSelector"), pods.labels)]
    incoming = [policy for policy in chosen if "Ingress" in (_at(policy, "spec", "policyTypes") or ["Ingress"])]
    if not incoming:
        return "none on the workers' labels"
    # Policies add up: each of them has to be narrow.
    for rule in (rule for policy in incoming for rule in _list(policy, "spec", "ingress")):
        peers, ports = _list(rule, "from"), _list(rule, "ports")
        wrong = first(
            (not peers or not all(_is_narrow(peer) for peer in peers)) and "one lets in anybody",
            (not ports or any(one.get("port") not in (pods.port, "tls") for one in ports))
            and "one opens more than the port of --listen",
        )
        if wrong:
            return wrong
    return ""


def _is_narrow(peer: dict[str, Any]) -> bool:
    return bool(_at(peer, "podSelector", "matchLabels") or _at(peer, "podSelector", "matchExpressions"))


def _selects(selector: Any, labels: dict[str, str]) -> bool:
    """Whether a selector takes in pods of some labels; expressions are not looked at."""
    return isinstance(selector, dict) and _dict(selector, "matchLabels").items() <= labels.items()


def _of_the_driver(pods: _Pods) -> Iterator[Check]:
    name, command = f"{pods.name}: ", pods.command
    wrong = first(not command.has("--workers") and "no --workers", not command.has("--resume") and "no --resume")
    yield checked(f"{name}resumes", wrong, "--resume", "--workers and --resume",
                  "train STUDY --workers hosts.yaml --resume; on a fresh folder it begins")  # fmt: skip
    wrong = first(pods.kind != "Job" and f"a {pods.kind}",
                  pods.spec.get("restartPolicy") != "OnFailure" and f"restartPolicy {pods.spec.get('restartPolicy')}",
                  pods.top.get("backoffLimit", 6) == 0 and "backoffLimit 0")  # fmt: skip
    yield checked(f"{name}restarts", wrong, "OnFailure", "a Job with restartPolicy OnFailure",
                  "restartPolicy: OnFailure, backoffLimit: 6")  # fmt: skip
    volume, mounted = pods.volume_at(command.argument)
    wrong = first(not volume and "on no volume", "persistentVolumeClaim" not in volume and "not on a persistent volume",
                  command.argument == mounted and "the volume's own folder, which need not be empty")  # fmt: skip
    yield checked(f"{name}study's folder", wrong, str(command.argument), "a folder below a persistent volume",
                  "mount a persistentVolumeClaim and name a folder below it")  # fmt: skip


def _of_all(pods: _Pods) -> Iterator[Check]:
    name = f"{pods.name}: "
    limits = _dict(pods.container, "resources", "limits")
    missing = [kind for kind in ("cpu", "memory") if kind not in limits]
    yield checked(f"{name}limits", f"none of {' and '.join(missing)}" if missing else "",
                  f"{limits.get('cpu')} cores, {limits.get('memory')}", "cpu and memory",
                  "resources: {limits: {cpu: ..., memory: ...}}")  # fmt: skip
    yield _check_rights(pods)
    yield _check_keys(pods)
    grace = pods.spec.get("terminationGracePeriodSeconds", _LEAST_GRACE)
    yield checked(f"{name}time to end", f"{grace} s" if grace < _LEAST_GRACE else "", f"{grace} s",
                  f"{_LEAST_GRACE} s or more", "terminationGracePeriodSeconds: 60")  # fmt: skip


def _check_rights(pods: _Pods) -> Check:
    own = {**_dict(pods.spec, "securityContext"), **_dict(pods.container, "securityContext")}
    scratch, _ = pods.volume_at("/tmp")
    wrong = first(
        own.get("runAsNonRoot") is not True and "may run as root",
        own.get("readOnlyRootFilesystem") is not True and "may write to its image",
        own.get("allowPrivilegeEscalation") is not False and "may gain privileges",
        own.get("privileged") and "privileged",
        "ALL" not in (_at(own, "capabilities", "drop") or []) and "keeps capabilities",
        "emptyDir" not in scratch and "nothing to write to at /tmp",
    )
    return checked(
        f"{pods.name}: rights", wrong, "few", "no root, nothing to write to but an emptyDir at /tmp",
        "securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, "
        "capabilities: {drop: [ALL]}}",
    )  # fmt: skip


def _check_keys(pods: _Pods) -> Check:
    """Whether the key comes from a Secret and ends up as a file that its user alone can read.

    A Secret's files are root's or, with ``fsGroup``, readable by a group; both are refused or cannot be read.
    """
    path = pods.command.option("--certificates") or "/keys"
    volume, _ = pods.volume_at(path)
    name, fix = f"{pods.name}: keys", "let an init container copy them: install -m 0400 /secret/* /keys/"
    expected = "a Secret, copied into memory by the user that runs, mode 0400"
    secrets = [one for one in _list(pods.spec, "volumes") if "secret" in one]
    copies = [one for one in _list(pods.spec, "initContainers") if _copies(one, volume.get("name"), secrets)]
    modes = [_at(one, "secret", "defaultMode") for one in secrets]
    wrong = first(
        not volume and "on no volume",
        "configMap" in volume and "in a ConfigMap",
        not secrets and "in no Secret",
        "fsGroup" not in _dict(pods.spec, "securityContext") and "no fsGroup: the Secret is root's alone",
        "secret" in volume and "a Secret as it is: not readable, or readable by a group",
        _at(volume, "emptyDir", "medium") != "Memory" and "not in memory",
        not copies and "no init container that copies them with mode 0400",
        any(mode is None or mode & 0o077 for mode in modes) and "a Secret whose files others can read",
    )
    return checked(name, wrong, "a private copy of a Secret", expected, fix)


def _copies(container: dict[str, Any], target: Any, secrets: Sequence[dict[str, Any]]) -> bool:
    mounted = {mount.get("name") for mount in _list(container, "volumeMounts")}
    text = " ".join(map(str, [*(container.get("command") or []), *(container.get("args") or [])]))
    return target in mounted and any(one["name"] in mounted for one in secrets) and bool(_PRIVATE_COPY.search(text))


def _check_outside(manifests: Sequence[dict[str, Any]], served: Sequence[_Pods]) -> Check:
    wrong = []
    for manifest in manifests:
        name, kind = _at(manifest, "metadata", "name"), manifest["kind"]
        if kind in ("Ingress", "Gateway"):
            wrong.append(f"{kind} {name}")
        if kind == "Service" and _at(manifest, "spec", "type") in _OPEN:
            wrong.append(f"Service {name} is a {_at(manifest, 'spec', 'type')}")
    for pods in served:
        ports = _list(pods.container, "ports")
        if pods.spec.get("hostNetwork") or any("hostPort" in port for port in ports):
            wrong.append(f"{pods.name} is in the node's network")
    expected = "no NodePort, LoadBalancer, Ingress, hostPort"
    fix = "a Service with clusterIP: None"
    return checked("from outside", "; ".join(wrong), "nothing is reached", expected, fix)


def _of_the_addresses(manifests: Sequence[dict[str, Any]], served: Sequence[_Pods]) -> Iterator[Check]:
    """Whether a ``hosts.yaml`` in a ConfigMap names the workers that there are."""
    texts = [text for manifest in manifests if manifest["kind"] == "ConfigMap"
             for text in _dict(manifest, "data").values() if "workers:" in str(text)]  # fmt: skip
    sets = [pods for pods in served if pods.kind == "StatefulSet"]
    expected = {f"{pods.name}-{number}.{pods.top.get('serviceName')}": pods.port
                for pods in sets for number in range(pods.replicas)}  # fmt: skip
    for text in texts:
        entries = _list(yaml.safe_load(str(text)), "workers")
        named = dict(str(entry.get("address")).rpartition(":")[::2] for entry in entries)
        strays = sorted(host for host in named if not any(_is_pod(host, pod) for pod in expected))
        wrong = first(len(named) != len(expected) and f"{len(named)} addresses, {len(expected)} workers",
                      bool(strays) and f"{', '.join(strays)}: no such worker")  # fmt: skip
        yield checked("addresses", wrong, f"{len(named)} addresses", "POD.SERVICE of each worker",
                      "list worker-0.workers to worker-N.workers, as replicas and serviceName say")  # fmt: skip
        ports: set[Any] = {int(port) for port in named.values() if port.isdigit()} | _service_ports(manifests, sets)
        apart = sorted(ports - {*expected.values()}, key=str)
        yield checked("ports", f"{', '.join(map(str, apart))}: nobody listens" if apart else "",
                      ", ".join(sorted(map(str, ports))), "that of --listen everywhere",
                      "use one port in --listen, the Service and hosts.yaml")  # fmt: skip


def _is_pod(host: str, pod: str) -> bool:
    return host == pod or host.startswith(f"{pod}.")


def _service_ports(manifests: Sequence[dict[str, Any]], sets: Sequence[_Pods]) -> set[Any]:
    names = {pods.top.get("serviceName") for pods in sets}
    services = [one for one in manifests if one["kind"] == "Service" and _at(one, "metadata", "name") in names]
    return {port["port"] for one in services for port in _list(one, "spec", "ports") if "port" in port}
