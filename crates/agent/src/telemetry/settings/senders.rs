//! What `service::telemetry::senders` takes: counting who sends what. A section of ours.

use crate::settings::{Reader, settings, words};

settings! {
    /// Counting who sends what, by pod and by metric name, to find the source of a flood or of too many series. The
    /// Collector does not have it. The page `/who`, beside `/metrics`, shows all that is known; the own metrics
    /// `otel_agent_sender_*` and `otel_agent_metric_*` show the largest.
    pub struct SendersConfig {
        /// Whether it is counted.
        pub enabled: bool = true,
        /// So many senders and so many metric names are shown as own metrics: those with the most. 0: none.
        pub top: usize = 5,
        /// Who may read the page `/who`: it names pods and metrics.
        pub page: PageFor = PageFor::Loopback,
    }
    check SendersConfig::check
}

words! {
    /// From where a page of the agent may be read.
    pub enum PageFor {
        /// From the agent's own pod or host: `kubectl exec`, `kubectl port-forward`.
        Loopback = "loopback",
        /// From wherever the port can be reached.
        Everywhere = "everywhere",
    }
}

impl SendersConfig {
    /// More series than this say nothing to a person, and each agent of the cluster has them.
    const MOST: usize = 50;

    fn check(&self, cx: &mut Reader<'_>) {
        if self.top > Self::MOST {
            let what = format!("`top` is at most {}: each agent of the cluster shows so many series", Self::MOST);
            cx.error_at("top", what, "use a smaller number; the page `/who` shows more than the metrics do");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    #[test]
    fn it_is_on_and_the_page_is_for_loopback_unless_told_otherwise() {
        let config: SendersConfig = read_text("{}").unwrap();
        assert_eq!(config, SendersConfig { enabled: true, top: 5, page: PageFor::Loopback });
        let config: SendersConfig = read_text("{enabled: false, top: 0, page: everywhere}").unwrap();
        assert_eq!(config, SendersConfig { enabled: false, top: 0, page: PageFor::Everywhere });
        assert!(read_text::<SendersConfig>("top: 51").unwrap_err().contains("at most 50"));
    }
}
