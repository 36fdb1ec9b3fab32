// Package config is the one table of everything that can be set: topic configurations, broker
// settings and group configurations, under Kafka's names, types, units and defaults.
//
// Validation, DescribeConfigs, docs/configuration.md and the broker's --help are all derived from
// it. Each setting says what it does here: Honoured, Accepted (kept and reported, without effect,
// with the reason), or Refused (only the default can be had, because another value would promise
// what is not done).
package config
