#include "core/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

#include "core/text.h"

namespace loquat::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

class CounterSeries final : public Counter {
 public:
  void add(double amount) noexcept override { counter_.Increment(amount); }
  [[nodiscard]] double value() const noexcept override { return counter_.Value(); }
  [[nodiscard]] ClientMetric collect() const { return counter_.Collect(); }

 private:
  prometheus::Counter counter_;
};

class GaugeSeries final : public Gauge {
 public:
  void set(double value) noexcept override { gauge_.Set(value); }
  void add(double amount) noexcept override { gauge_.Increment(amount); }
  [[nodiscard]] double value() const noexcept override { return gauge_.Value(); }
  [[nodiscard]] ClientMetric collect() const { return gauge_.Collect(); }

 private:
  prometheus::Gauge gauge_;
};

class HistogramSeries final : public Histogram {
 public:
  void observe(std::chrono::duration<double> seconds) noexcept override { histogram_.Observe(seconds.count()); }
  [[nodiscard]] ClientMetric collect() const { return histogram_.Collect(); }

 private:
  prometheus::Histogram histogram_{
      prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}};
};

/// prometheus-cpp writes help texts as they are.
std::string escape_help(std::string_view help) {
  std::string out;
  for (const char c : help) {
    if (c == '\\') out += '\\';
    out += c == '\n' ? std::string_view("\\n") : std::string_view(&c, 1);
  }
  return out;
}

template <class Series>
struct Entry {
  std::unique_ptr<Series> series = std::make_unique<Series>();
  bool shown = true;
};

/// All series of one name. A removed series is hidden, not destroyed: somebody may hold the reference.
template <class Series>
struct Family {
  std::string help;
  std::map<Labels, Entry<Series>> series;
};

/// Prometheus' own Registry destroys a series on removal and looks one up by hashing all labels; here references live for
/// ever and the values are still prometheus-cpp's.
class Registry {
 public:
  CounterSeries& counter(std::string_view name, std::string_view help, Labels labels) {
    return find_or_make(counters_, MetricType::Counter, name, help, std::move(labels));
  }
  GaugeSeries& gauge(std::string_view name, std::string_view help, Labels labels) {
    return find_or_make(gauges_, MetricType::Gauge, name, help, std::move(labels));
  }
  HistogramSeries& histogram(std::string_view name, std::string_view help, Labels labels) {
    return find_or_make(histograms_, MetricType::Histogram, name, help, std::move(labels));
  }

  void remove_gauge(std::string_view name, Labels labels) {
    std::ranges::sort(labels);
    const std::scoped_lock lock(mutex_);
    const auto family = gauges_.find(name);
    if (family == gauges_.end()) return;
    const auto entry = family->second.series.find(labels);
    if (entry == family->second.series.end()) return;
    entry->second.shown = false;
    entry->second.series->set(0);
  }

  std::string bounded_label(std::string_view name, std::string_view value, std::size_t limit) {
    constexpr std::size_t longest = 200;
    std::string clean = text::to_valid_utf8(value.substr(0, longest));
    const std::scoped_lock lock(mutex_);
    const auto [at, added] = label_values_.try_emplace(std::string(name));
    auto& seen = at->second;
    if (seen.contains(clean)) return clean;
    if (seen.size() >= limit) return "other";
    seen.insert(clean);
    return clean;
  }

  std::vector<prometheus::MetricFamily> collect() {
    std::vector<prometheus::MetricFamily> families;
    const std::scoped_lock lock(mutex_);
    append(families, counters_, MetricType::Counter);
    append(families, gauges_, MetricType::Gauge);
    append(families, histograms_, MetricType::Histogram);
    return families;
  }

 private:
  template <class Series>
  using Families = std::map<std::string, Family<Series>, std::less<>>;

  template <class Series>
  Series& find_or_make(Families<Series>& families, MetricType type, std::string_view name, std::string_view help, Labels labels) {
    std::ranges::sort(labels);
    const std::scoped_lock lock(mutex_);
    auto family = families.find(name);
    if (family == families.end()) {
      if (!types_.try_emplace(std::string(name), type).second) throw std::logic_error("metric " + std::string(name) + " has two types");
      family = families.try_emplace(std::string(name)).first;
      family->second.help = escape_help(help);
    }
    auto& entry = family->second.series[std::move(labels)];
    entry.shown = true;
    return *entry.series;
  }

  template <class Series>
  static void append(std::vector<prometheus::MetricFamily>& out, const Families<Series>& families, MetricType type) {
    for (const auto& [name, family] : families) {
      prometheus::MetricFamily collected{"loquat_" + name, family.help, type, {}};
      for (const auto& [labels, entry] : family.series) {
        if (!entry.shown) continue;
        ClientMetric metric = entry.series->collect();
        for (const auto& [label, value] : labels) metric.label.push_back({label, value});
        collected.metric.push_back(std::move(metric));
      }
      if (!collected.metric.empty()) out.push_back(std::move(collected));
    }
  }

  std::mutex mutex_;
  std::map<std::string, MetricType, std::less<>> types_;
  Families<CounterSeries> counters_;
  Families<GaugeSeries> gauges_;
  Families<HistogramSeries> histograms_;
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> label_values_;
};

/// Never destroyed: threads may count until the very end of the process.
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

}  // namespace

Counter& counter(std::string_view name, std::string_view help, const Labels& labels) { return registry().counter(name, help, labels); }
Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels) { return registry().gauge(name, help, labels); }
Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels) {
  return registry().histogram(name, help, labels);
}
void remove_gauge(std::string_view name, const Labels& labels) { registry().remove_gauge(name, labels); }
std::string bounded_label(std::string_view name, std::string_view value, std::size_t limit) {
  return registry().bounded_label(name, value, limit);
}

std::string serialize() { return prometheus::TextSerializer().Serialize(registry().collect()); }

}  // namespace loquat::metrics
