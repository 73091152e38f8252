//! Pod and container labels from the paths under which the kubelet and Docker keep logs.
//!
//! Only the path is read; no API server is asked.

use std::path::Path;

/// Labels that a path tells, sorted by name:
///
/// | path | labels |
/// |---|---|
/// | `…/pods/NAMESPACE_POD_UID/CONTAINER/N.log` | `container`, `namespace`, `pod`, `pod_uid` |
/// | `…/containers/POD_NAMESPACE_CONTAINER-ID.log` | `container`, `container_id`, `namespace`, `pod` |
/// | `…/containers/ID/ID-json.log` | `container_id` |
pub fn from_path(path: &Path) -> Vec<(String, String)> {
    let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
    let labels = match names.as_slice() {
        [.., "pods", pod, container, file] if is_container_log(file) => pod_folder(pod, container),
        [.., "containers", file] => container_file(file),
        [.., "containers", id, file] if file.starts_with(id) && file[id.len()..].starts_with("-json.log") => {
            Some(vec![("container_id", *id)])
        }
        _ => None,
    };
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    labels.unwrap_or_default().into_iter().map(own).collect()
}

/// `0.log`, and `0.log.20240102-030405` once rotated.
fn is_container_log(file: &str) -> bool {
    let number = file.split('.').next().unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && file.contains(".log")
}

fn pod_folder<'a>(pod: &'a str, container: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    // None of the three holds an underscore.
    let mut parts = pod.split('_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && !namespace.is_empty())
        .then(|| vec![("container", container), ("namespace", namespace), ("pod", name), ("pod_uid", uid)])
}

fn container_file(file: &str) -> Option<Vec<(&'static str, &str)>> {
    let stem = file.strip_suffix(".log")?;
    let mut parts = stem.split('_');
    let (pod, namespace, rest) = (parts.next()?, parts.next()?, parts.next()?);
    // A container's name may hold hyphens, the id does not.
    let (container, id) = rest.rsplit_once('-')?;
    let whole = parts.next().is_none() && id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole
        .then(|| vec![("container", container), ("container_id", id), ("namespace", namespace), ("pod", pod)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let labels: Vec<String> =
            from_path(Path::new(path)).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(labels.join(" "), expected, "{path}");
    }

    #[test]
    fn labels_by_path() {
        let id = "a".repeat(64);
        check(
            "/var/log/pods/shop_web-7d9-x2x_0f3c-11/nginx/0.log",
            "container=nginx namespace=shop pod=web-7d9-x2x pod_uid=0f3c-11",
        );
        check(
            "/host/var/log/pods/shop_web_uid/nginx/12.log.20240102-030405",
            "container=nginx namespace=shop pod=web pod_uid=uid",
        );
        check(
            &format!("/var/log/containers/web-1_shop_my-app-{id}.log"),
            &format!("container=my-app container_id={id} namespace=shop pod=web-1"),
        );
        check(&format!("/var/lib/docker/containers/{id}/{id}-json.log"), &format!("container_id={id}"));
        for none in ["/var/log/nginx/access.log", "/var/log/pods/x/y/0.log", "/containers/x.log", "/", ""] {
            check(none, "");
        }
    }
}
