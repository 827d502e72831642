//! One row a kind of input, with all that it names and how sure that is. Each is a small relative of a
//! file that projects publish; docs/coverage.md has what those came to.

use super::*;

/// Kind, input, and what it names, sorted by full names.
type InputRow = (
    &'static str,
    &'static str,
    &'static [(Certainty, &'static str)],
);

use Certainty::{Certain, Likely, Maybe};

const CHARTS: &[InputRow] = &[
    (
        "annotation with a list",
        "name: db\nannotations:\n  images: |\n    - name: db\n      image: docker.io/acme/db:16\n  \
         artifacthub.io/images: |\n    - name: sh\n      image: docker.io/acme/sh:1\n      platforms: [linux/amd64]\n  \
         helm.sh/images: '[{\"name\": \"x\", \"image\": \"docker.io/acme/x:2\"}]'\n",
        &[
            (Likely, "docker.io/acme/db:16"),
            (Likely, "docker.io/acme/sh:1"),
            (Likely, "docker.io/acme/x:2"),
        ],
    ),
    (
        "values with parts",
        "a: {image: {registry: quay.io, repository: acme/a, tag: v1, digest: \"\"}}\n\
         b: {image: {repository: quay.io/acme/b, tag: 1.2, sha: \
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}\n\
         c: {image: {image: acme/c, tag: v3}}\nd: {image: {name: acme/d, tag: v4}}\n\
         e: {image: acme/e, imageTag: v5}\nf: {repository: quay.io/acme, image: f, version: v6}\n",
        &[
            (Likely, "acme/c:v3"),
            (Likely, "acme/d:v4"),
            (Likely, "acme/e:v5"),
            (Likely, "quay.io/acme/a:v1"),
            (
                Likely,
                "quay.io/acme/b:1.2@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
            (Likely, "quay.io/acme/f:v6"),
        ],
    ),
    (
        "values with a registry for all",
        "global: {imageRegistry: reg.example}\na: {image: {registry: docker.io, repository: acme/a, tag: v1}}\n---\n\
         global: {image: {registry: reg2.example}}\nb: {image: {image: acme/b, tag: v1}}\n\
         c: {image: {registry: quay.io, image: acme/c, tag: v1}}\n",
        &[
            (Likely, "quay.io/acme/c:v1"),
            (Likely, "reg.example/acme/a:v1"),
            (Likely, "reg2.example/acme/b:v1"),
        ],
    ),
    (
        "values with a hub, as of Istio",
        "kind: ConfigMap\ndata:\n  values: |-\n    {\"global\": {\"hub\": \"gcr.io/mesh\", \"proxy\": {\"image\": \"proxy\"},\n    \
         \"init\": {\"image\": \"init\"}, \"tag\": \"1.29\"}}\n",
        &[
            (Likely, "gcr.io/mesh/init:1.29"),
            (Likely, "gcr.io/mesh/proxy:1.29"),
        ],
    ),
    (
        "HelmChartConfig",
        "kind: HelmChartConfig\nmetadata: {name: t}\nspec:\n  valuesContent: |-\n    image:\n      name: acme/t\n      tag: \"2.6\"\n",
        &[(Likely, "acme/t:2.6")],
    ),
    (
        "anchors",
        "x-image: &web quay.io/acme/web:1\nkind: Pod\nspec:\n  containers:\n  - image: *web\n",
        &[(Certain, "quay.io/acme/web:1")],
    ),
];

const OPERATORS: &[InputRow] = &[
    (
        "flags and variables",
        "kind: Deployment\nspec:\n  containers:\n  - image: op:1\n    args: [--solver-image=quay.io/a/s:1, --agent-image, \
         a/agent:2, \"--reloader=quay.io/a/r:3\", --listen=0.0.0.0:80]\n    env:\n    - {name: RELATED_IMAGE_X, value: a/x:1}\n    \
         - {name: CSI_IMAGE, value: a/csi:1}\n    - {name: IMAGE_TKN, value: a/tkn:1}\n    - {name: OTHER, value: \
         \"quay.io/a/o:1,quay.io/a/p:1\"}\n",
        &[
            (Likely, "a/agent:2"),
            (Likely, "a/csi:1"),
            (Likely, "a/tkn:1"),
            (Likely, "a/x:1"),
            (Certain, "op:1"),
            (Maybe, "quay.io/a/o:1"),
            (Maybe, "quay.io/a/p:1"),
            (Maybe, "quay.io/a/r:3"),
            (Likely, "quay.io/a/s:1"),
        ],
    ),
    (
        "script in an argument",
        "kind: Job\nspec:\n  containers:\n  - image: sh:1\n    command:\n    - sh\n    - -c\n    - |\n      docker pull \
         quay.io/a/b:1\n      kubectl run x --image=busybox:1.36\n",
        &[
            (Likely, "busybox:1.36"),
            (Certain, "sh:1"),
            (Maybe, "quay.io/a/b:1"),
        ],
    ),
    (
        "ClusterServiceVersion",
        "kind: ClusterServiceVersion\nmetadata:\n  annotations:\n    containerImage: quay.io/a/op:1\n    alm-examples: |-\n      \
         [{\"kind\": \"X\", \"spec\": {\"image\": \"quay.io/a/example:1\"}}]\nspec:\n  install:\n    spec:\n      deployments:\n      \
         - spec: {template: {spec: {containers: [{image: \"quay.io/a/op:1\"}]}}}\n  relatedImages:\n  - {name: x, image: \
         \"quay.io/a/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}\n",
        &[
            (Maybe, "quay.io/a/example:1"),
            (Certain, "quay.io/a/op:1"),
            (
                Likely,
                "quay.io/a/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
        ],
    ),
    (
        "schema of a custom resource",
        "kind: CustomResourceDefinition\nspec:\n  properties:\n    agentImage: {type: string, default: quay.io/a/agent:1}\n    \
         containers: {type: array, items: {properties: {image: {type: string, description: \"as quay.io/a/b:1\"}}}}\n",
        &[(Maybe, "quay.io/a/agent:1")],
    ),
    (
        "ConfigMap with files and texts",
        "kind: ConfigMap\ndata:\n  sidecar-image: a/side:1\n  reloader: quay.io/a/r:1\n  pod.yaml: |\n    containers:\n    - image: \
         a/pod\n  template: |\n    image: {{ .Image }}\n    {{ if .Old }}\n    image: quay.io/a/old:1\n    {{ end }}\n",
        &[
            (Likely, "a/pod"),
            (Likely, "a/side:1"),
            (Maybe, "quay.io/a/old:1"),
            (Maybe, "quay.io/a/r:1"),
        ],
    ),
    (
        "steps of Argo Workflows and Tekton",
        "kind: Workflow\nspec:\n  templates:\n  - container: {image: busybox}\n  - script: {image: python}\n    sidecars: [{image: \
         docker}]\n---\nkind: Task\nspec:\n  steps:\n  - {name: a, image: ubuntu}\n  stepTemplate: {image: alpine}\n",
        &[
            (Likely, "alpine"),
            (Likely, "busybox"),
            (Likely, "docker"),
            (Likely, "python"),
            (Likely, "ubuntu"),
        ],
    ),
    (
        "objects of OpenShift",
        "kind: Template\nobjects:\n- kind: ImageStream\n  spec:\n    tags:\n    - from: {kind: DockerImage, name: \"quay.io/a/is:1\"}\n\
         parameters:\n- {name: AGENT_IMAGE, value: \"quay.io/a/agent:1\"}\n",
        &[(Likely, "quay.io/a/agent:1"), (Likely, "quay.io/a/is:1")],
    ),
];

const LISTS: &[InputRow] = &[
    (
        "lists of Hauler, kustomize and kbld",
        "kind: Images\nspec: {images: [{name: \"rancher/a:v1\"}, {name: b}]}\n---\nkind: Kustomization\nimages:\n- {name: c, newName: \
         quay.io/x/c, newTag: v3}\n---\nkind: Config\noverrides:\n- {image: nginx, newImage: \"docker.io/library/nginx:1\"}\n---\n\
         spec:\n  kustomize: {images: [\"old=quay.io/x/new:1\"]}\n",
        &[
            (Likely, "docker.io/library/nginx:1"),
            (Likely, "rancher/a:v1"),
            (Likely, "quay.io/x/c:v3"),
            (Likely, "quay.io/x/new:1"),
        ],
    ),
    (
        "compose file",
        "services:\n  web: {image: nginx}\n  db: {image: \"postgres:16\"}\n  own: {build: ., image: \"mine:1\"}\n  \
         also: {build: {context: .}, image: its}\n",
        &[
            (Maybe, "mine:1"),
            (Likely, "nginx"),
            (Likely, "postgres:16"),
        ],
    ),
    (
        "Dockerfile",
        "# syntax\nARG V=1\nFROM --platform=linux/amd64 golang:1.22 AS build\nRUN go build\nFROM scratch\nFROM build\nfrom \
         gcr.io/distroless/static:nonroot\nFROM acme/$V\n",
        &[
            (Certain, "golang:1.22"),
            (Certain, "gcr.io/distroless/static:nonroot"),
        ],
    ),
    (
        "table of crictl",
        "IMAGE                      TAG       IMAGE ID   SIZE\nregistry.k8s.io/pause      3.10      8034      268kB\nquay.io/a/b  \
         <none>  12 1\n",
        &[(Certain, "registry.k8s.io/pause:3.10")],
    ),
    (
        "lines of grep",
        "        image: quay.io/a/b:1\n          image: \"quay.io/a/c:2\"\n      - image: 'd:3'\n",
        &[
            (Certain, "d:3"),
            (Certain, "quay.io/a/b:1"),
            (Certain, "quay.io/a/c:2"),
        ],
    ),
    (
        "lines that uniq counted",
        "   2 nginx:1.27\n  11 quay.io/a/b:1\n",
        &[(Certain, "nginx:1.27"), (Certain, "quay.io/a/b:1")],
    ),
    (
        "one line of a jsonpath",
        "nginx:1.27 quay.io/a/b:1 redis\n",
        &[
            (Certain, "nginx:1.27"),
            (Certain, "redis"),
            (Certain, "quay.io/a/b:1"),
        ],
    ),
    (
        "list with its charts",
        "rancher/a:v1 chart-a:1.0\nrancher/b:v2 chart-b:2.0\n",
        &[(Certain, "rancher/a:v1"), (Certain, "rancher/b:v2")],
    ),
    (
        "lines of a script",
        "docker pull quay.io/a/b:1\ncrictl pull quay.io/a/c:1\n",
        &[(Certain, "quay.io/a/b:1"), (Certain, "quay.io/a/c:1")],
    ),
    (
        "mark of the byte order",
        "\u{feff}{\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"image\":\"a:1\"}]}}",
        &[(Certain, "a:1")],
    ),
];

#[test]
fn every_kind_of_input_names_its_images() {
    for (kind, input, expected) in [CHARTS, OPERATORS, LISTS].concat() {
        let expected: Vec<(Certainty, String)> = expected
            .iter()
            .map(|(certainty, image)| (*certainty, (*image).to_owned()))
            .collect();
        assert_eq!(found(input), expected, "{kind}");
    }
}

#[test]
fn windows_line_ends_change_nothing() {
    for (kind, input, _) in [CHARTS, OPERATORS, LISTS].concat() {
        let windows = input.replace('\n', "\r\n");
        assert_eq!(found(&windows), found(input), "{kind}");
    }
}

#[test]
fn pods_of_several_versions() {
    let digest = format!("sha256:{}", "a".repeat(64));
    // The names that docker, containerd and CRI-O give to what runs.
    for id in [
        format!("docker-pullable://nginx@{digest}"),
        format!("docker.io/library/nginx@{digest}"),
        format!("quay.io/cache/nginx@{digest}"),
    ] {
        let pod = format!(
            "{{\"kind\":\"PodList\",\"items\":[{{\"metadata\":{{\"name\":\"p\"}},\"kind\":\"Pod\",\"spec\":{{\"containers\":\
             [{{\"image\":\"nginx:1\",\"name\":\"c\"}}]}},\"status\":{{\"containerStatuses\":[{{\"imageID\":\"{id}\",\
             \"image\":\"docker.io/library/nginx:1\",\"name\":\"c\"}}]}}}}]}}"
        );
        let inventory = read(pod.as_bytes()).unwrap();
        let running: Vec<_> = inventory.images().map(|image| &image.running).collect();
        assert_eq!(running, [&[digest.clone()].into()], "{id}");
    }
}

#[test]
fn what_was_applied_last_is_not_used() {
    let pod = "kind: Pod\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      \
               {\"spec\":{\"containers\":[{\"image\":\"old:1\"}]}}\nspec: {containers: [{image: \"new:2\"}]}\n";
    assert_eq!(found(pod), certain(&["new:2"]));
}

#[test]
fn place_of_an_image_in_a_text_names_both() {
    let chart = "kind: HelmChart\nmetadata: {name: t}\nspec:\n  valuesContent: |\n    image: a/t:1\n    replicas: 2\n";
    assert_eq!(place(chart), "HelmChart t: spec.valuesContent: image");
}
