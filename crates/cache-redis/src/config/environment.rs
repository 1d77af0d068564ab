//! Configuration by environment variables.

use std::str::FromStr;
use std::time::Duration;

use super::{ConfigError, RedisBuilder};
use crate::server::Tls;

impl RedisBuilder {
    /// Reads the variables that begin with `prefix`. What is unset keeps its default, and what is empty
    /// counts as unset.
    pub(crate) fn from_variables(
        prefix: &str,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let variables = Variables { prefix, read };
        let urls = variables.text("URL").ok_or(ConfigError::NoUrl)?;
        let urls: Vec<&str> = urls.split(',').map(str::trim).collect();
        let mode = variables.text("MODE").unwrap_or_else(|| "single".to_owned());
        let mut builder = match (mode.as_str(), urls.as_slice()) {
            ("single", [url]) => Self::single(url)?,
            ("single", _) => return Err(variables.wrong("URL", "one URL, unless MODE says more")),
            ("cluster", urls) => Self::cluster(urls)?,
            ("sentinel", urls) => {
                let service = variables.text("SERVICE");
                let service =
                    service.ok_or_else(|| variables.wrong("SERVICE", "the name of the master"))?;
                Self::sentinel(urls, &service)?
            }
            _ => return Err(variables.wrong("MODE", "single, cluster or sentinel")),
        };
        if let Some(name) = variables.text("USERNAME") {
            builder = builder.username(name);
        }
        if let Some(password) = variables.text("PASSWORD") {
            builder = builder.password(password);
        }
        if let Some(number) = variables.number("DATABASE")? {
            builder = builder.database(number);
        }
        if let Some(prefix) = variables.text("PREFIX") {
            builder = builder.prefix(prefix);
        }
        if let Some(name) = variables.text("CLIENT_NAME") {
            builder = builder.client_name(name);
        }
        if let Some(count) = variables.number("CONNECTIONS")? {
            builder = builder.connections(count);
        }
        if let Some(limit) = variables.millis("CONNECT_TIMEOUT_MS")? {
            builder = builder.connect_timeout(limit);
        }
        if let Some(limit) = variables.millis("COMMAND_TIMEOUT_MS")? {
            builder = builder.command_timeout(limit);
        }
        if let Some(bytes) = variables.number::<usize>("COMPRESS_ABOVE")? {
            builder = builder.compress_above(bytes);
        }
        if let Some(time) = variables.millis("FENCE_MEMORY_MS")? {
            builder = builder.fence_memory(time);
        }
        if let Some(interval) = variables.millis("BUS_HEARTBEAT_MS")? {
            builder = builder.bus_heartbeat(interval);
        }
        variables.tls(builder)
    }
}

struct Variables<'p, R> {
    prefix: &'p str,
    read: R,
}

impl<R: Fn(&str) -> Option<String>> Variables<'_, R> {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.read)(&self.name(name)).filter(|value| !value.is_empty())
    }

    fn number<N: FromStr>(&self, name: &'static str) -> Result<Option<N>, ConfigError> {
        let read = |text: String| text.trim().parse().ok();
        match self.text(name) {
            Some(text) => {
                read(text).map(Some).ok_or_else(|| self.wrong(name, "a whole number in range"))
            }
            None => Ok(None),
        }
    }

    fn millis(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.number(name)?.map(Duration::from_millis))
    }

    /// The contents of the file that a variable names.
    fn file(&self, name: &'static str) -> Result<Option<Vec<u8>>, ConfigError> {
        match self.text(name) {
            Some(path) => std::fs::read(path)
                .map(Some)
                .map_err(|_| self.wrong(name, "the path of a file that can be read")),
            None => Ok(None),
        }
    }

    fn tls(&self, builder: RedisBuilder) -> Result<RedisBuilder, ConfigError> {
        let (roots, certificate, key) =
            (self.file("TLS_ROOTS")?, self.file("TLS_CERTIFICATE")?, self.file("TLS_KEY")?);
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Tls::new().client(certificate, key)),
            (Some(_), None) => return Err(self.wrong("TLS_KEY", "set, as TLS_CERTIFICATE is")),
            (None, Some(_)) => return Err(self.wrong("TLS_CERTIFICATE", "set, as TLS_KEY is")),
            (None, None) => None,
        };
        let tls = match roots {
            Some(roots) => Some(tls.unwrap_or_default().roots(roots)),
            None => tls,
        };
        Ok(match tls {
            Some(tls) => builder.tls(tls),
            None => builder,
        })
    }

    fn wrong(&self, name: &str, expected: &'static str) -> ConfigError {
        ConfigError::Variable { name: self.name(name), expected }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<RedisBuilder, ConfigError> {
        let variables: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| (format!("X_{name}"), (*value).to_owned()))
            .collect();
        RedisBuilder::from_variables("X_", |name| variables.get(name).cloned())
    }

    #[test]
    fn every_variable_is_read() {
        let builder = read(&[
            ("URL", "redis://one, redis://two"),
            ("MODE", "sentinel"),
            ("SERVICE", "main"),
            ("USERNAME", "cache"),
            ("PASSWORD", "hidden"),
            ("DATABASE", "3"),
            ("PREFIX", "answers"),
            ("CLIENT_NAME", "gateway-1"),
            ("CONNECTIONS", "5"),
            ("CONNECT_TIMEOUT_MS", "750"),
            ("COMMAND_TIMEOUT_MS", "80"),
            ("COMPRESS_ABOVE", "4096"),
            ("FENCE_MEMORY_MS", "60000"),
            ("BUS_HEARTBEAT_MS", "500"),
        ]);
        let builder = builder.unwrap();
        let shown = format!("{builder:?}");
        for part in [
            r#"Sentinel("main", ["one:6379", "two:6379"])"#,
            r#"username: Some("cache")"#,
            "database: Some(3)",
            r#"prefix: "answers""#,
            r#"client_name: "gateway-1""#,
            "connections: 5",
            "connect_timeout: 750ms",
            "command_timeout: 80ms",
            "compress_above: Some(4096)",
            "fence_memory: 60s",
            "bus_heartbeat: 500ms",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(builder.build().is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_named_and_not_repeated() {
        let wrong: &[(&[(&str, &str)], &str)] = &[
            (&[("URL", "redis://a,redis://b")], "X_URL"),
            (&[("URL", "redis://a"), ("MODE", "hidden")], "X_MODE"),
            (&[("URL", "redis://a"), ("MODE", "sentinel")], "X_SERVICE"),
            (&[("URL", "redis://a"), ("CONNECTIONS", "hidden")], "X_CONNECTIONS"),
            (&[("URL", "redis://a"), ("DATABASE", "-1")], "X_DATABASE"),
            (&[("URL", "rediss://a"), ("TLS_ROOTS", "/hidden")], "X_TLS_ROOTS"),
        ];
        for (variables, name) in wrong {
            let error = read(variables).unwrap_err();
            assert!(
                matches!(&error, ConfigError::Variable { name: n, .. } if n == name),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("hidden"));
        }
        assert!(matches!(read(&[]), Err(ConfigError::NoUrl)));
        assert!(matches!(read(&[("URL", "")]), Err(ConfigError::NoUrl)));
    }
}
