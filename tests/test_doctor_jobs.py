"""The examples of jobs are in order, and each defect put into one is found by the check that is there for it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tff_affect import cli
from tff_affect.doctor_jobs import Command, commands_of, diagnose_job, diagnose_jobs, split_words
from tff_affect.doctor_kubernetes import diagnose_manifests
from tff_affect.errors import InputError
from tff_affect.workers.hosts import Deadlines, read_hosts

JOBS = Path(__file__).resolve().parents[1] / "docs" / "jobs"
SLURM, KUBERNETES = JOBS / "slurm.sh", JOBS / "kubernetes.yaml"


def failing(file: Path) -> set[str]:
    """Names of the checks that are not met, without the file's."""
    return {check.name.partition(": ")[2] for check in diagnose_job(file) if not check.ok}


def altered(source: Path, before: str, after: str, folder: Path) -> Path:
    """A copy of an example in which one thing is another."""
    text = source.read_text(encoding="utf-8")
    assert before in text, "the example is not what this test thinks"
    file = folder / source.name
    file.write_text(text.replace(before, after), encoding="utf-8")
    return file


def test_the_examples_are_in_order() -> None:
    checks = diagnose_jobs([SLURM, KUBERNETES])
    assert [check for check in checks if not check.ok] == []
    assert all(check.fix == "" for check in checks)
    assert len({check.name for check in checks}) == len(checks) > 30
    assert subprocess.run(["bash", "-n", SLURM], check=False).returncode == 0


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("#SBATCH --mem=16G\n", "", {"memory limit"}),
        ("#SBATCH --mem=16G\n", "# SBATCH --mem=16G\n", {"memory limit"}),
        ("#SBATCH --cpus-per-task=8\n", "", {"cores"}),
        ("#SBATCH --time=12:00:00\n", "", {"time limit"}),
        ("#SBATCH --requeue\n", "", {"put back into the queue"}),
        ("#SBATCH --requeue\n", "#SBATCH --requeue\n#SBATCH --no-requeue\n", {"put back into the queue"}),
        ("#SBATCH --signal=B:USR1@120\n", "", {"end of the time"}),
        ("B:USR1@120", "USR1@120", {"end of the time"}),
        ("B:USR1@120", "B:USR1@10", {"end of the time"}),
        ("B:USR1@120", "B:USR2@120", {"end of the time"}),
        ("    scontrol requeue", "    true # scontrol requeue", set()),
        ('    scontrol requeue "$SLURM_JOB_ID"', "    true", {"end of the time"}),
        ("umask 077\n", "", {"files for this user alone"}),
        ("umask 077\n", "umask 022\n", {"files for this user alone"}),
        ('--certificates "$1/certificates/$SLURMD_NODENAME"', "", {"worker: TLS"}),
        ('--certificates "$1/certificates/$SLURMD_NODENAME"', "--plain-loopback", {"worker: TLS"}),
        ("--certificates \"$1", "--isolation none --certificates \"$1", {"worker: isolation"}),
        ("LOCAL=/local/affect\n", "LOCAL=/home/me/affect\n", {"worker: data"}),
        ("LOCAL=/local/affect\n", "LOCAL=$HOME/affect\n", {"worker: data"}),
        ("STUDY=/project/affect/studies/first", "STUDY=/local/first", {"driver: study's folder"}),
        ("STUDY=/project/affect/studies/first", 'STUDY="$TMPDIR/first"', {"driver: study's folder"}),
        (" --resume --quiet", " --quiet", {"driver: resumes"}),
        (' --workers "$hosts" --resume', " --resume", {"driver: resumes"}),
        ("$node:$PORT", "$node:8471", {"ports"}),
        ("0.0.0.0:$2", "0.0.0.0:8471", {"ports"}),
        ("#SBATCH --nodelist=node1,node2,node3\n", "", {"nodes"}),
        ("scontrol show hostnames", "echo", {"number of workers"}),
    ],
)  # fmt: skip
def test_each_defect_of_a_script_is_found(before: str, after: str, found: set[str], tmp_path: Path) -> None:
    assert failing(altered(SLURM, before, after, tmp_path)) == found


def test_what_a_script_says_of_itself_is_believed(tmp_path: Path) -> None:
    firewall = altered(
        SLURM, "    exec tff-affect worker serve", "    # the nodes' firewall closes all but 8470\n"
        "    exec tff-affect worker serve --isolation none", tmp_path,
    )  # fmt: skip
    assert failing(firewall) == set()
    shared = altered(SLURM, "LOCAL=/local/affect\n", "# the data on a shared disk\nLOCAL=/home/me/affect\n", tmp_path)
    assert failing(shared) == set()


def test_two_tasks_on_a_node_are_found(tmp_path: Path) -> None:
    text = SLURM.read_text(encoding="utf-8").replace("--ntasks-per-node=1", "--ntasks-per-node=2")
    (tmp_path / "job.sh").write_text(text)
    assert failing(tmp_path / "job.sh") == {"worker: one on each node"}


def test_the_driver_waits_as_long_as_the_script_says() -> None:
    seconds = re.search(r"deadlines.returning of hosts.yaml, (\d+) s", SLURM.read_text())
    assert seconds is not None
    assert float(seconds[1]) == Deadlines().returning


Document = dict[str, Any]


def manifests(change: Callable[[dict[str, Document]], None], folder: Path) -> Path:
    """The example with a change; documents by ``kind`` or, where there are two of a kind, ``kind name``."""
    documents = list(yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8")))
    change({document["kind"]: document for document in documents})
    file = folder / "job.yaml"
    # Through JSON, so that nothing is shared any more and no anchor is needed.
    file.write_text(yaml.safe_dump_all(json.loads(json.dumps([d for d in documents if d.get("kind") != "gone"]))))
    return file


def pod(documents: dict[str, Document], kind: str = "StatefulSet") -> Document:
    spec = documents[kind]["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def container(documents: dict[str, Document], kind: str = "StatefulSet") -> Document:
    found = pod(documents, kind)["containers"][0]
    assert isinstance(found, dict)
    return found


def without(words: list[str], word: str, count: int = 1) -> None:
    at = words.index(word)
    del words[at : at + count]


def rule(documents: dict[str, Document]) -> Document:
    found = documents["NetworkPolicy"]["spec"]["ingress"][0]
    assert isinstance(found, dict)
    return found


def apart(document: Document) -> Document:
    """A copy that shares nothing: what an anchor names is one object in several places."""
    copied = json.loads(json.dumps(document))
    document.clear()
    document.update(copied)
    return document


def hosts(documents: dict[str, Document], before: str, after: str) -> None:
    data = documents["ConfigMap"]["data"]
    assert before in data["hosts.yaml"]
    data["hosts.yaml"] = data["hosts.yaml"].replace(before, after)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: None, set()),
        (lambda d: without(container(d)["args"], "--certificates", 2), {"worker: TLS"}),
        (lambda d: d["NetworkPolicy"].update(kind="gone"), {"worker: NetworkPolicy"}),
        (lambda d: d["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].update(app="x"), {"worker: NetworkPolicy"}),
        (lambda d: d["NetworkPolicy"]["spec"].update(policyTypes=["Egress"]), {"worker: NetworkPolicy"}),
        (lambda d: rule(d).pop("from"), {"worker: NetworkPolicy"}),
        (lambda d: rule(d)["from"].append({"namespaceSelector": {}}), {"worker: NetworkPolicy"}),
        (lambda d: rule(d)["from"].append({"podSelector": {}}), {"worker: NetworkPolicy"}),
        (lambda d: rule(d).pop("ports"), {"worker: NetworkPolicy"}),
        (lambda d: rule(d)["ports"].append({"port": 9000}), {"worker: NetworkPolicy"}),
        (lambda d: container(d).pop("readinessProbe"), {"worker: readiness"}),
        (lambda d: container(d)["readinessProbe"]["tcpSocket"].update(port=80), {"worker: readiness"}),
        (lambda d: container(d)["readinessProbe"]["tcpSocket"].update(port="tls"), set()),
        (lambda d: container(d)["resources"]["limits"].pop("cpu"), {"worker: limits"}),
        (lambda d: container(d, "Job")["resources"]["limits"].pop("memory"), {"driver: limits"}),
        (lambda d: container(d, "Job").pop("resources"), {"driver: limits"}),
        (lambda d: without(container(d, "Job")["args"], "--resume"), {"driver: resumes"}),
        (lambda d: without(container(d, "Job")["args"], "--workers", 2), {"driver: resumes"}),
        (lambda d: pod(d, "Job").update(restartPolicy="Never"), {"driver: restarts"}),
        (lambda d: d["Job"]["spec"].update(backoffLimit=0), {"driver: restarts"}),
        (lambda d: container(d, "Job")["args"].__setitem__(1, "/tmp/first"), {"driver: study's folder"}),
        (lambda d: container(d, "Job")["args"].__setitem__(1, "/elsewhere"), {"driver: study's folder"}),
        (lambda d: container(d, "Job")["args"].__setitem__(1, "/studies"), {"driver: study's folder"}),
        (lambda d: pod(d)["securityContext"].pop("runAsNonRoot"), {"worker: rights"}),
        (lambda d: apart(container(d))["securityContext"].pop("readOnlyRootFilesystem"), {"worker: rights"}),
        (lambda d: apart(container(d))["securityContext"].pop("capabilities"), {"worker: rights"}),
        (lambda d: apart(container(d))["securityContext"].update(privileged=True), {"worker: rights"}),
        (lambda d: apart(container(d, "Job"))["securityContext"].pop("allowPrivilegeEscalation"), {"driver: rights"}),
        (lambda d: container(d)["volumeMounts"].pop(), {"worker: rights"}),
        (lambda d: pod(d).pop("initContainers"), {"worker: keys"}),
        (lambda d: pod(d)["initContainers"][0].update(command=["cp", "/secret/*", "/keys/"]), {"worker: keys"}),
        (lambda d: pod(d)["volumes"][0]["secret"].pop("defaultMode"), {"worker: keys"}),
        (lambda d: pod(d)["volumes"][0]["secret"].update(defaultMode=0o644), {"worker: keys"}),
        (lambda d: pod(d)["volumes"][1].update(emptyDir={}), {"worker: keys"}),
        (lambda d: container(d)["volumeMounts"][1].update(name="secret"), {"worker: keys"}),
        (lambda d: pod(d)["securityContext"].pop("fsGroup"), {"worker: keys"}),
        (lambda d: pod(d, "Job")["volumes"].pop(3), {"driver: keys"}),
        (lambda d: pod(d).update(terminationGracePeriodSeconds=5), {"worker: time to end"}),
        (lambda d: pod(d, "Job").pop("terminationGracePeriodSeconds"), set()),
        (lambda d: d["Service"]["spec"].update(type="NodePort"), {"from outside"}),
        (lambda d: d["Service"]["spec"].update(type="LoadBalancer"), {"from outside"}),
        (lambda d: pod(d).update(hostNetwork=True), {"from outside"}),
        (lambda d: container(d)["ports"][0].update(hostPort=8470), {"from outside"}),
        (lambda d: d["Namespace"].update(kind="Ingress"), {"from outside"}),
        (lambda d: d["StatefulSet"]["spec"].update(replicas=4), {"addresses"}),
        (lambda d: d["StatefulSet"]["spec"].update(replicas=2), {"addresses"}),
        (lambda d: d["StatefulSet"]["spec"].update(serviceName="others"), {"addresses"}),
        (lambda d: hosts(d, "worker-1.workers:8470", "worker-3.workers:8470"), {"addresses"}),
        (lambda d: hosts(d, "worker-1.workers:8470", "worker-1.workers.affect.svc:8470"), set()),
        (lambda d: hosts(d, "worker-1.workers:8470", "worker-1.workers:8471"), {"ports"}),
        (lambda d: d["Service"]["spec"]["ports"][0].update(port=80), {"ports"}),
    ],
)
def test_each_defect_of_the_manifests_is_found(
    change: Callable[[dict[str, Document]], None], found: set[str], tmp_path: Path
) -> None:
    assert failing(manifests(change, tmp_path)) == found


def test_commands_are_found_wherever_they_stand() -> None:
    line = (
        "srun x bash -c 'exec tff-affect worker serve /c --listen=h:1 --isolation none' & /bin/tff-affect train a -o b"
    )
    assert list(commands_of(split_words(line))) == [
        Command("worker serve", ("/c", "--listen=h:1", "--isolation", "none")),
        Command("train", ("a", "-o", "b")),
    ]
    serve = Command("worker serve", ("--quiet", "--listen=h:1", "--isolation", "none", "/c"))
    assert (serve.argument, serve.option("--listen"), serve.option("--isolation")) == ("/c", "h:1", "none")
    assert (serve.has("--listen"), serve.has("--list"), serve.option("--certificates")) == (True, False, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a Slurm script"),
        ("a: 1\n", "expected a Slurm script"),
        ("- a\n", "expected a Slurm script"),
        ("a: [\n", "line 2: not valid YAML"),
        ("#!/bin/bash\ntff-affect worker serve x\n", "expected #SBATCH lines"),
        ("#!/bin/bash\n#SBATCH --mem=1G\necho\n", "found neither"),
        ("#!/bin/bash\n#SBATCH --mem=1G\necho 'open\n", "quot"),
        ("apiVersion: v1\nkind: Namespace\n", "found neither"),
        ("\xff\xfe", "UTF-8"),
    ],
)
def test_another_file_is_one_line(text: str, words: str, command_line: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "job"
    file.write_bytes(text.encode("latin-1"))
    said = command_line("doctor", "--jobs", file)
    assert (said.code, said.out) == (2, ""), said
    assert said.err.startswith(f"tff-affect: {file}")
    assert said.err.count("\n") == 1
    assert words in said.err or not text
    with pytest.raises(InputError):
        diagnose_job(file)


def test_a_missing_file_is_one_line(command_line: Callable[..., Any], tmp_path: Path) -> None:
    said = command_line("doctor", "--jobs", tmp_path / "missing")
    assert (said.code, said.err.count("\n")) == (2, 1)


def test_the_command_takes_several_files_and_fails_for_a_defect(
    command_line: Callable[..., Any], tmp_path: Path
) -> None:
    good = command_line("doctor", "--jobs", SLURM, "--jobs", KUBERNETES, "--json")
    assert good.code == 0, good
    files = {row["name"].partition(":")[0] for row in json.loads(good.out)}
    assert files == {"slurm.sh", "kubernetes.yaml"}
    bad = command_line("doctor", "--jobs", KUBERNETES, "--jobs", altered(SLURM, "umask 077", "", tmp_path), "--json")
    assert bad.code == 1
    assert [row["found"] for row in json.loads(bad.out) if not row["ok"]] == ["no umask 077"]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Containers and the keys of all that lies in them."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, [None], {"x": None}])
def test_whatever_stands_in_a_manifest_there_is_an_answer(odd: Any) -> None:
    text = json.dumps(list(yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8"))))
    refused = []
    for number in range(sum(1 for _ in places(json.loads(text)))):
        documents = json.loads(text)
        inside, key = next(islice(places(documents), number, None))
        inside[key] = odd
        try:
            assert diagnose_manifests(documents)
        except ValueError as error:
            refused.append(str(error))
    assert all(reason.startswith("expected") for reason in refused)
    assert len(refused) < number / 2


@pytest.mark.parametrize("content", ["apiVersion: v1\nkind: Pod\nspec: 3\n", "apiVersion: 1\nkind: [Pod]\n", "{}\n"])
def test_strange_manifests_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(content)
    with pytest.raises(InputError):
        diagnose_job(tmp_path / "job.yaml")


def commands_of_the_examples() -> list[Command]:
    script = re.sub(r"^\s*#.*$", "", SLURM.read_text(encoding="utf-8").replace("\\\n", " "), flags=re.M)
    documents = {d["kind"]: d for d in yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8"))}
    containers = [container(documents), container(documents, "Job")]
    words = [*split_words(script), ";", *[str(w) for c in containers for w in (*c["command"], *c["args"], ";")]]
    return list(commands_of(words))


def test_the_examples_use_options_that_there_are() -> None:
    found = commands_of_the_examples()
    assert [command.name for command in found] == ["worker serve", "train"] * 2
    root: Any = typer.main.get_command(cli.app)
    for command in found:
        known = root
        for name in command.name.split():
            known = known.commands[name]
        options = {option for parameter in known.params for option in parameter.opts}
        assert {word for word in command.words if word.startswith("-")} <= options
        assert command.argument is not None


def test_the_hosts_of_the_manifests_can_be_read(tmp_path: Path) -> None:
    documents = {d["kind"]: d for d in yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8"))}
    for name in ("authority.pem", "driver.pem", "driver.key"):
        (tmp_path / name).touch()
    hosts(documents, "certificates: /keys", f"certificates: {tmp_path}")
    (tmp_path / "hosts.yaml").write_text(documents["ConfigMap"]["data"]["hosts.yaml"])
    read = read_hosts(tmp_path / "hosts.yaml")
    assert [worker.address for worker in read.workers] == [f"worker-{number}.workers:8470" for number in range(3)]
    mounts = {mount["mountPath"] for mount in container(documents, "Job")["volumeMounts"]}
    assert {"/keys", "/config"} <= mounts


def test_the_hosts_of_the_script_can_be_read(tmp_path: Path) -> None:
    text = SLURM.read_text(encoding="utf-8")
    block = text[text.index("{\n    echo") : text.index('} > "$hosts"')]
    folder = tmp_path / "certificates" / "driver"
    folder.mkdir(parents=True)
    for name in ("authority.pem", "driver.pem", "driver.key"):
        (folder / name).touch()
    script = f"LOCAL={tmp_path}; PORT=8470; nodes=(node1 node2); {block}}}"
    written = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    (tmp_path / "hosts.yaml").write_text(written)
    assert [worker.address for worker in read_hosts(tmp_path / "hosts.yaml").workers] == ["node1:8470", "node2:8470"]
