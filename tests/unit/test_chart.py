"""What can be shown of the Helm chart without a cluster.

Each case is rendered by helm and held against the schemas of Kubernetes, KEDA and the Prometheus operator, unknown fields
refused; what reaches the program is read by the program. Nothing here starts a pod.
"""

import json
import tarfile
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.support.dashboards import DASHBOARDS
from tests.support.helm import DEFINITIONS, HelmMissingError, custom_resource, helm, run_helm
from tests.support.needed import needed
from tests.support.prometheus import PROMETHEUS, promtool, rules
from tests.support.texts import ROOT
from tests.unit.test_deploy import image_environment
from textstream import cli
from textstream.docs import chart_defaults
from textstream.layers import load_settings
from textstream.observe.metrics import END_TO_END_BUCKETS
from textstream.settings import Settings

CHART = ROOT / "deploy/helm/textstream"
NEEDED = {"input": {"topics": ["reviews"]}, "kafka": {"bootstrap_servers": "kafka:9092"}}
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "static": {"staticMembership": True},
    "gpu": {"gpu": {"enabled": True, "count": 2, "runtimeClassName": "nvidia"}, "nodeSelector": {"pool": "scoring"}},
    "keda": {"keda": {"enabled": True, "authenticationRef": {"name": "kafka"}, "metadata": {"tls": "enable"}}},
    "keda and static": {"keda": {"enabled": True, "minReplicas": 0}, "staticMembership": True},
    "network": {
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "kafkaPorts": [9093],
            "brokers": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "egress": [{"ports": [{"protocol": "TCP", "port": 4318}]}],
        },
        "serviceMonitor": {"enabled": True, "tlsConfig": {"insecureSkipVerify": True}},
    },
    "bare": {
        "podDisruptionBudget": {"enabled": False},
        "topologySpread": {"enabled": False},
        "image": {"digest": "sha256:" + "0" * 64},
    },
    "everything": {
        "credentials": {
            "kafkaClient": {"name": "textstream-kafka", "key": "client.json"},
            "files": [{"secretName": "kafka-tls", "mountPath": "/etc/textstream/tls"}],
        },
        "imagePullSecrets": [{"name": "pull"}],
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True},
        "serviceAccountName": "scoring",
        "priorityClassName": "high",
        "podLabels": {"team": "text"},
        "podAnnotations": {"note": "a"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
        "extraVolumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
    },
}


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """helm and the definitions are there; where they are not the tests fail and say what is missing."""
    needed(helm, HelmMissingError)
    for kind in DEFINITIONS:
        needed(partial(custom_resource, kind), HelmMissingError)


def template(folder: Path, values: Mapping[str, Any], settings: Mapping[str, Any] = NEEDED) -> tuple[str, str]:
    """What helm renders of these values, and what it says where it refuses them."""
    file = folder / "values.json"
    file.write_text(json.dumps({"settings": settings, **values}))
    # A helm that `go install` built takes the cluster to be Kubernetes 1.20 where it is not told.
    done = run_helm("template", "textstream", str(CHART), "--values", str(file), "--kube-version", "1.34")
    return (done.stdout, "") if done.returncode == 0 else ("", done.stderr)


def rendered(folder: Path, values: Mapping[str, Any], settings: Mapping[str, Any] = NEEDED) -> dict[str, Any]:
    """The manifests by kind."""
    text, refused = template(folder, values, settings)
    assert not refused
    manifests = [manifest for manifest in YAML(typ="safe").load_all(text) if manifest]
    assert len({manifest["kind"] for manifest in manifests}) == len(manifests)
    return {manifest["kind"]: manifest for manifest in manifests}


def pod(manifests: Mapping[str, Any]) -> Any:
    """The pod's spec."""
    return next(manifests[kind] for kind in ("Deployment", "StatefulSet") if kind in manifests)["spec"]["template"]["spec"]


def container(manifests: Mapping[str, Any]) -> Any:
    """The only container."""
    (only,) = pod(manifests)["containers"]
    return only


def environment(manifests: Mapping[str, Any]) -> dict[str, str]:
    """The variables as the program sees them: those of the image under those of the pod, doubled dollars undone."""
    given = {entry["name"]: entry["value"] for entry in container(manifests)["env"] if "value" in entry}
    return image_environment() | {name: value.replace("$$", "$") for name, value in given.items()}


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_valid(tmp_path: Path, case: str) -> None:
    """Each manifest follows the schema of the oldest Kubernetes that the chart allows, and of the newest that is known."""
    for kind, manifest in rendered(tmp_path, CASES[case]).items():
        if kind in DEFINITIONS:
            Draft202012Validator(custom_resource(kind)).validate(manifest)
            continue
        for version in ("1.27", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ScaledObject", {"spec": {"maxReplicas": 3}}),
        ("ServiceMonitor", {"spec": {"endpoints": [{"prot": "http"}]}}),
        ("PrometheusRule", {"spec": {"groups": [{"name": "a", "rules": [{"expr": "1", "fore": "1m"}]}]}}),
    ],
)
def test_the_definitions_refuse_what_they_do_not_know(kind: str, change: dict[str, Any]) -> None:
    """A misspelt field of a custom resource would be found."""
    assert list(
        Draft202012Validator(custom_resource(kind)).iter_errors({"apiVersion": "a", "kind": kind, "metadata": {}, **change})
    )


def test_the_chart_passes_helms_own_lint(tmp_path: Path) -> None:
    """`helm lint --strict` finds nothing."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"settings": NEEDED}))
    done = run_helm("lint", "--strict", str(CHART), "--values", str(file), "--kube-version", "1.34")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_has_the_programs_version() -> None:
    """Chart, image tag and package are released together."""
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_every_setting_reaches_the_program(tmp_path: Path) -> None:
    """Whatever a setting's type, the program reads from its pod's variables what the values say."""
    settings = json.loads(chart_defaults())
    del settings["kafka"]["group_instance_id"]
    settings["input"] |= {"topics": ["reviews", "^posts-(a|b)$"], "pointer": '/"$(HOME)'}
    settings["model"] |= {"min_salience": 0.25, "bundle": "/models/深"}
    settings["delivery"] |= {"breaker_share": 1e-7, "on_breaker": "exit"}
    settings["kafka"] |= {
        "client": {
            "security.protocol": "SSL",
            "socket.keepalive.enable": True,
            "ssl.ca.location": "/etc/textstream/tls/ca.crt",
        },
        "consumer": {"fetch.min.bytes": 134217728},
    }
    settings["output"]["keep_input"] = True
    settings["observe"] |= {"http_host": "::", "log_format": "console"}
    seen = load_settings(environ=environment(rendered(tmp_path, {}, settings)))
    assert seen == Settings.model_validate(settings)


def test_the_defaults_serve_probes_and_prometheus(tmp_path: Path) -> None:
    """The port binds to all addresses; service, probes and container name the same one, and the command is real."""
    manifests = rendered(tmp_path, {}, NEEDED | {"observe": {"http_port": 8080}})
    worker = container(manifests)
    settings = load_settings(environ=environment(manifests))
    assert (settings.observe.http_host, settings.observe.http_port) == ("0.0.0.0", 8080)
    assert {"name": "TEXTSTREAM_PRIVACY_SHOW_TEXT", "value": "false"} in worker["env"], "whoever reaches a pod reads messages"
    assert worker["ports"] == [{"name": "http", "containerPort": 8080}]
    assert manifests["Service"]["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    probes = {name: worker[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    live, ready = {"path": "/livez", "port": "http"}, {"path": "/readyz", "port": "http"}
    assert probes == {"startup": live, "liveness": live, "readiness": ready}
    assert callable(cli._parser().parse_args(worker["args"]).command)


def test_probes_follow_the_ports_tls(tmp_path: Path) -> None:
    """Under HTTPS they speak HTTPS, as Prometheus does; where the port asks for certificates, which no kubelet shows, they see
    whether it listens."""
    secure = NEEDED | {"observe": {"http_certificate": "/tls/tls.crt", "http_key": "/tls/tls.key"}}
    manifests = rendered(tmp_path, CASES["network"], secure)
    probes = [container(manifests)[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
    assert [probe["httpGet"]["scheme"] for probe in probes] == ["HTTPS"] * 3
    assert [probe["httpGet"]["path"] for probe in probes] == ["/livez", "/livez", "/readyz"]
    (endpoint,) = manifests["ServiceMonitor"]["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"insecureSkipVerify": True})
    secure["observe"]["http_client_ca"] = "/tls/ca.crt"
    worker = container(rendered(tmp_path, {}, secure))
    for name in ("startup", "liveness", "readiness"):
        assert "httpGet" not in worker[f"{name}Probe"]
        assert worker[f"{name}Probe"]["tcpSocket"] == {"port": "http"}
    assert all(probe["periodSeconds"] for probe in probes)


def test_a_network_policy_lets_through_what_a_worker_needs(tmp_path: Path) -> None:
    """Off it is not there; on it lets in callers of the HTTP port, and out names, the brokers' ports, and what values add."""
    assert "NetworkPolicy" not in rendered(tmp_path, {})
    servers = NEEDED | {"kafka": {"bootstrap_servers": "a:9092, b:9094,c:9092,d"}}
    manifests = rendered(tmp_path, {"networkPolicy": {"enabled": True}}, servers)
    policy = manifests["NetworkPolicy"]["spec"]
    assert (
        policy["podSelector"]["matchLabels"].items()
        <= manifests["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": container(manifests)["ports"][0]["name"]}]}]
    names, brokers = policy["egress"]
    assert names == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    assert brokers == {"ports": [{"protocol": "TCP", "port": 9092}, {"protocol": "TCP", "port": 9094}]}
    values = CASES["network"]["networkPolicy"]
    policy = rendered(tmp_path, CASES["network"])["NetworkPolicy"]["spec"]
    assert policy["ingress"][0]["from"] == values["from"]
    assert policy["egress"][1] == {"ports": [{"protocol": "TCP", "port": 9093}], "to": values["brokers"]}
    assert policy["egress"][2:] == values["egress"]


@pytest.mark.parametrize("drain_s", [None, 25, 100.5, 3_600])
def test_the_worker_can_finish_before_it_is_killed(tmp_path: Path, drain_s: float | None) -> None:
    """The grace period follows the drain, also where the values leave that to the program."""
    delivery = {} if drain_s is None else {"drain_timeout_s": drain_s}
    manifests = rendered(tmp_path, {}, NEEDED | {"delivery": delivery})
    drain_s = load_settings(environ=environment(manifests)).delivery.drain_timeout_s
    assert drain_s + 15 <= pod(manifests)["terminationGracePeriodSeconds"] < drain_s + 16


def test_the_startup_probe_leaves_the_limit_to_the_program(tmp_path: Path) -> None:
    """A worker that waits for its broker ends by its own limit, which tells the reason."""
    probe = container(rendered(tmp_path, {}, NEEDED | {"delivery": {"startup_timeout_s": 301}}))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > 301


@pytest.mark.parametrize("case", CASES)
def test_the_pod_has_no_rights_that_it_does_not_need(tmp_path: Path, case: str) -> None:
    """Not root, nothing to write to but /tmp, no capabilities, no token, and no variables of services beside it."""
    spec = pod(rendered(tmp_path, CASES[case]))
    (worker,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 10001
    assert worker["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"] and not spec["enableServiceLinks"]
    assert [mount["mountPath"] for mount in worker["volumeMounts"] if not mount.get("readOnly")] == ["/tmp"]


def test_a_static_member_is_called_like_its_pod(tmp_path: Path) -> None:
    """Static membership is a StatefulSet behind the headless service, the group instance id the pod's name."""
    manifests = rendered(tmp_path, CASES["static"])
    assert "Deployment" not in manifests
    spec = manifests["StatefulSet"]["spec"]
    assert (spec["serviceName"], spec["podManagementPolicy"]) == (manifests["Service"]["metadata"]["name"], "Parallel")
    assert manifests["Service"]["spec"]["clusterIP"] == "None"
    (entry,) = (entry for entry in container(manifests)["env"] if entry["name"] == "TEXTSTREAM_KAFKA_GROUP_INSTANCE_ID")
    assert entry["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_a_gpu_is_asked_for_where_one_is(tmp_path: Path) -> None:
    """The pod goes to nodes with GPUs, takes its GPUs, the image with CUDA, and does not fall back to the CPU."""
    manifests = rendered(tmp_path, CASES["gpu"])
    spec, worker = pod(manifests), container(manifests)
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true", "pool": "scoring"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert (spec["runtimeClassName"], worker["image"].rpartition("-")[2]) == ("nvidia", "cuda")
    assert load_settings(environ=environment(manifests)).model.device == "cuda"
    without = rendered(tmp_path, {})
    assert "nodeSelector" not in pod(without) and not container(without)["image"].endswith("-cuda")
    assert "nvidia.com/gpu" not in container(without)["resources"]["limits"]


@pytest.mark.parametrize("case", ["keda", "keda and static"])
def test_keda_scales_what_is_there_by_the_lag_of_its_group(tmp_path: Path, case: str) -> None:
    """The ScaledObject names the workload, the group and the topics of the settings; replicas are no longer the chart's."""
    settings = {"input": {"topics": ["reviews", "posts"]}, "kafka": {"bootstrap_servers": "a:1,b:2", "group_id": "scoring"}}
    manifests = rendered(tmp_path, CASES[case], settings)
    scaled, kind = manifests["ScaledObject"]["spec"], "StatefulSet" if "static" in case else "Deployment"
    assert scaled["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": kind, "name": manifests[kind]["metadata"]["name"]}
    assert "replicas" not in manifests[kind]["spec"]
    known = [trigger["metadata"] for trigger in scaled["triggers"]]
    assert [(one["bootstrapServers"], one["consumerGroup"], one["topic"]) for one in known] == [
        ("a:1,b:2", "scoring", "reviews"),
        ("a:1,b:2", "scoring", "posts"),
    ]
    assert all(isinstance(value, str) for one in known for value in one.values())


def test_keda_takes_all_topics_of_the_group_where_one_is_a_pattern(tmp_path: Path) -> None:
    """KEDA knows no patterns: one trigger without a topic counts all that the group has read."""
    scaled = rendered(tmp_path, CASES["keda"], NEEDED | {"input": {"topics": ["reviews", "^posts-.*"]}})["ScaledObject"]["spec"]
    (trigger,) = scaled["triggers"]
    assert "topic" not in trigger["metadata"]


def test_without_keda_the_replicas_are_the_charts(tmp_path: Path) -> None:
    """No ScaledObject, no ServiceMonitor, no PrometheusRule where their operators may be absent, no dashboards unasked."""
    manifests = rendered(tmp_path, {"replicas": 5})
    assert set(manifests) == {"Deployment", "Service", "PodDisruptionBudget"}
    assert manifests["Deployment"]["spec"]["replicas"] == 5


def test_selectors_find_the_pods(tmp_path: Path) -> None:
    """Workload, service, budget, spread and monitor select by labels that the pods, or the service, have."""
    manifests = rendered(tmp_path, CASES["everything"])
    deployment = manifests["Deployment"]["spec"]
    spread = pod(manifests)["topologySpreadConstraints"]
    selectors = [deployment["selector"], manifests["PodDisruptionBudget"]["spec"]["selector"]]
    selectors += [constraint["labelSelector"] for constraint in spread]
    wanted = [selector["matchLabels"] for selector in selectors] + [manifests["Service"]["spec"]["selector"]]
    assert len(spread) == 2
    assert all(labels.items() <= deployment["template"]["metadata"]["labels"].items() for labels in wanted)
    monitor = manifests["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= manifests["Service"]["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == manifests["Service"]["spec"]["ports"][0]["name"]


def test_credentials_come_from_secrets(tmp_path: Path) -> None:
    """As a variable that the program reads, and as files that only its group can read."""
    manifests = rendered(tmp_path, CASES["everything"])
    worker = container(manifests)
    (entry,) = (entry for entry in worker["env"] if entry["name"] == "TEXTSTREAM_KAFKA_CLIENT")
    assert entry["valueFrom"] == {"secretKeyRef": {"name": "textstream-kafka", "key": "client.json"}}
    (mount,) = (mount for mount in worker["volumeMounts"] if mount["mountPath"] == "/etc/textstream/tls")
    (volume,) = (volume for volume in pod(manifests)["volumes"] if volume["name"] == mount["name"])
    assert volume["secret"] == {"secretName": "kafka-tls", "defaultMode": 0o440}
    assert mount["readOnly"]


def test_the_charts_rules_are_those_of_the_compose_file(tmp_path: Path) -> None:
    """Rule by rule the same: the chart holds no copy of them."""
    rendered_rules = rendered(tmp_path, CASES["everything"])["PrometheusRule"]["spec"]["groups"]
    assert rendered_rules == YAML(typ="safe").load(PROMETHEUS / "rules.yml")["groups"]


def test_objective_and_alerts_follow_the_values(tmp_path: Path) -> None:
    """Share, time limit, what is left out and where the runbook is; promtool takes it, and no more has changed."""
    given = {
        "enabled": True,
        "objective": {"ratio": 0.999, "seconds": "2.5"},
        "without": ["TextstreamDrift"],
    }
    values = {"prometheusRule": given, "runbookUrl": "https://wiki.example.com/runbook"}
    groups = rendered(tmp_path, values)["PrometheusRule"]["spec"]["groups"]
    found = {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}
    expected = {rule.get("alert") or rule["record"]: rule for rule in rules()}
    assert expected.keys() - found.keys() == {"TextstreamDrift"}
    assert found["objective:textstream_on_time:ratio"]["expr"] == "vector(0.999)"
    assert found["instance:textstream_on_time_messages:total"]["expr"] == 'textstream_end_to_end_seconds_bucket{le="2.5"}'
    assert found["TextstreamDeadLetters"]["annotations"]["runbook_url"] == f"{values['runbookUrl']}#textstreamdeadletters"
    assert sum(found[name]["expr"] != expected[name]["expr"] for name in found) == 2
    (tmp_path / "rules.json").write_text(json.dumps({"groups": groups}))
    assert (done := promtool("check", "rules", str(tmp_path / "rules.json"))).returncode == 0, done.stderr


def test_the_objectives_time_limit_is_a_bound_of_the_histogram() -> None:
    """Another would match no series, and every message would be late."""
    allowed = json.loads((CHART / "values.schema.json").read_text())["properties"]["prometheusRule"]["properties"]["objective"]
    assert allowed["properties"]["seconds"]["enum"] == [str(float(bound)) for bound in END_TO_END_BUCKETS]


def test_grafanas_sidecar_finds_the_dashboards(tmp_path: Path) -> None:
    """One key for each, whole, under the sidecar's label, with links to the runbook that is served."""
    values = {"dashboards": {"enabled": True}, "runbookUrl": "https://wiki.example.com/runbook"}
    made = rendered(tmp_path, values)["ConfigMap"]
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    files = {path.name: path.read_text().replace("deploy/RUNBOOK.md", values["runbookUrl"]) for path in DASHBOARDS}
    assert {name: json.loads(text) for name, text in made["data"].items()} == {n: json.loads(text) for n, text in files.items()}


def test_a_packaged_chart_holds_rules_and_dashboards(tmp_path: Path) -> None:
    """The links of the chart's folder become files in its archive, so that it renders where the repository is not."""
    assert run_helm("package", str(CHART), "--destination", str(tmp_path)).returncode == 0
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed.getmembers()}
    for name in ["rules.yml", *(f"dashboards/{path.name}" for path in DASHBOARDS)]:
        assert members[f"textstream/{name}"].isfile() and members[f"textstream/{name}"].size > 1_000


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("replica", {"replica": 3}, NEEDED),
    ("replicas", {"replicas": "three"}, NEEDED),
    ("whenUnsatisfiable", {"topologySpread": {"whenUnsatisfiable": "Never"}}, NEEDED),
    ("topics", {}, {"kafka": NEEDED["kafka"]}),
    ("bootstrap_servers", {}, {"input": NEEDED["input"]}),
    ("topics", {}, NEEDED | {"input": {"topics": []}}),
    ("topics", {}, NEEDED | {"input": {"topics": ["a,b"]}}),
    ("max_mesages", {}, NEEDED | {"batch": {"max_mesages": 3}}),
    ("batches", {}, NEEDED | {"batches": {}}),
    ("max_messages", {}, NEEDED | {"batch": {"max_messages": 0}}),
    ("device", {}, NEEDED | {"model": {"device": "gpu"}}),
    ("sasl.password", {}, NEEDED | {"kafka": {"bootstrap_servers": "a:1", "client": {"sasl.password": "x"}}}),
    ("staticMembership", {}, NEEDED | {"kafka": {"bootstrap_servers": "a:1", "group_instance_id": "x"}}),
    ("kafkaClient", CASES["everything"], NEEDED | {"kafka": {"bootstrap_servers": "a:1", "client": {"debug": "cgrp"}}}),
    ("kafkaClient", {"credentials": {"kafkaClient": {"name": "x"}}}, NEEDED),
    ("minReplicas", {"keda": {"enabled": True, "minReplicas": 9}}, NEEDED),
    ("TextstreamDrft", {"prometheusRule": {"enabled": True, "without": ["TextstreamDrft"]}}, NEEDED),
    ("seconds", {"prometheusRule": {"objective": {"ratio": 0.99, "seconds": "2.0"}}}, NEEDED),
    ("ratio", {"prometheusRule": {"objective": {"ratio": 99, "seconds": "1.0"}}}, NEEDED),
    ("http_port", {}, NEEDED | {"observe": {"http_port": 0}}),
    ("kafkaPorts", {"networkPolicy": {"enabled": True, "kafkaPorts": ["kafka"]}}, NEEDED),
]


@pytest.mark.parametrize(("named", "values", "settings"), REFUSED, ids=[f"{i}-{row[0]}" for i, row in enumerate(REFUSED)])
def test_bad_values_are_refused(tmp_path: Path, named: str, values: dict[str, Any], settings: dict[str, Any]) -> None:
    """Before anything is applied, and the message names what is wrong."""
    _, refused = template(tmp_path, values, settings)
    assert named in refused
