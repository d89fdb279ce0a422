use tokio::net::TcpListener;

use super::*;
use crate::config::route::{Proxy, Route, Via};
use crate::config::types::HttpUrl;
use crate::control::testing::worker;
use crate::net::{Cause, Phase};

fn config(proxy: &str) -> Worker {
    let mut config = worker("http://127.0.0.1:9");
    let url = HttpUrl::try_from(proxy.to_owned()).unwrap();
    let proxy = Proxy { url, authorization: None };
    config.control.route = Route { via: Via::Proxy(proxy), ..Route::direct() };
    config.proxy_check_interval = Duration::from_millis(30);
    config
}

#[tokio::test]
async fn changes_are_logged_and_figures_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (log, lines) = Log::memory();
    let tls = crate::tls::client_config(None).unwrap();
    let proxies = Proxies::new(&config(&format!("http://{address}")), &tls, log);
    let watch = tokio::spawn(proxies.clone().watch());
    let until = |wanted: fn(&Health) -> bool| {
        let proxies = proxies.clone();
        async move {
            while !wanted(&proxies.health()[0]) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    until(|h| h.checks >= 3).await;
    let good = proxies.health().remove(0);
    assert_eq!((good.failures, good.failure, good.last_success), (0, None, good.last_check));
    drop(listener);
    until(|h| h.failures >= 3).await;
    let bad = proxies.health().remove(0);
    assert_eq!(bad.failure, Some((Phase::Proxy, Cause::Refused)));
    assert!(bad.last_success < bad.last_check);
    let _listener = TcpListener::bind(address).await.unwrap();
    until(|h| h.failure.is_none()).await;
    watch.abort();
    let lines: Vec<String> = lines.lock().unwrap().clone();
    let kinds: Vec<bool> = lines.iter().map(|line| line.contains("proxy is reachable")).collect();
    assert_eq!(kinds, [true, false, true], "{lines:#?}");
    assert!(lines[1].contains("proxy is not reachable") && lines[1].contains("refused"), "{lines:#?}");
}

#[tokio::test]
async fn without_a_proxy_there_is_nothing_to_do() {
    let tls = crate::tls::client_config(None).unwrap();
    let proxies = Proxies::new(&worker("http://127.0.0.1:9"), &tls, Log::memory().0);
    assert!(proxies.health().is_empty());
    proxies.watch().await;
}
