#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The process's Prometheus metrics. Names are given without the prefix "loquat_". Asking twice for the same name and
/// labels gives the same object, which lives until the process ends; keep the reference in hot paths (the look-up
/// takes a lock). Everything here is thread-safe.
namespace loquat::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double amount = 1) noexcept = 0;
  [[nodiscard]] virtual double value() const noexcept = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) noexcept = 0;
  virtual void add(double amount = 1) noexcept = 0;
  [[nodiscard]] virtual double value() const noexcept = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void observe(std::chrono::duration<double> seconds) noexcept = 0;
};

/// A counter's name ends in _total.
[[nodiscard]] Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
[[nodiscard]] Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
/// In seconds, buckets from 0.5 ms to 10 s.
[[nodiscard]] Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {});
/// Removes a series, as when a page is gone.
void remove_gauge(std::string_view name, const Labels& labels);
/// A text label like a page id is foreign input: at most `limit` different values a name, then "other".
[[nodiscard]] std::string bounded_label(std::string_view name, std::string_view value, std::size_t limit = 100);

/// The text exposition format, version 0.0.4.
[[nodiscard]] std::string serialize();

}  // namespace loquat::metrics
