//! The metrics as text, in the two forms that Prometheus reads.
use std::fmt;

use prometheus_client::encoding;

use super::Metrics;

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own text format, version 0.0.4.
    Prometheus,
}

impl Exposition {
    /// The form that a request's `Accept` header asks for.
    pub(in crate::serve) fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// For the header `Content-Type`.
    pub(in crate::serve) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Metrics {
    /// All metrics as text.
    ///
    /// # Errors
    /// If a metric can't be written.
    pub(in crate::serve) fn text(&self, exposition: Exposition) -> Result<String, fmt::Error> {
        let mut open = String::with_capacity(48 << 10);
        encoding::text::encode(&mut open, &self.registry)?;
        Ok(written(&open, exposition))
    }
}

/// From the library's OpenMetrics, which has `inf` for the infinite. In Prometheus' form a counter's family has
/// its name with `_total`, and units and the end have no lines.
fn written(open: &str, exposition: Exposition) -> String {
    let mut text = String::with_capacity(open.len() + (1 << 10));
    let mut help = None;
    for line in open.lines() {
        if let Some(series) = line.strip_suffix(" inf") {
            text.extend([series, " +Inf\n"]);
        } else if exposition == Exposition::OpenMetrics || !line.starts_with('#') {
            text.extend([line, "\n"]);
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.rsplit_once(' ') else { continue };
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                text.extend(["# HELP ", name, total, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, total, " ", kind, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_each_form_wants_it() {
        let open = "# HELP a_b Help.\n# TYPE a_b counter\na_b_total{x=\"1\"} 3\n# HELP c_bytes C.\n\
                    # TYPE c_bytes gauge\n# UNIT c_bytes bytes\nc_bytes inf\n# EOF\n";
        assert_eq!(
            written(open, Exposition::Prometheus),
            "# HELP a_b_total Help.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 3\n# HELP c_bytes \
             C.\n# TYPE c_bytes gauge\nc_bytes +Inf\n"
        );
        let kept = open.replace("inf", "+Inf");
        assert_eq!(written(open, Exposition::OpenMetrics), kept);
    }

    #[test]
    fn the_form_is_negotiated() {
        let scraper = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.1";
        assert_eq!(Exposition::accepted(scraper), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted("*/*"), Exposition::Prometheus);
        assert_eq!(Exposition::accepted(""), Exposition::Prometheus);
    }
}
