#include "http/request_metrics.h"

namespace loquat::http {

void RequestMetrics::count(Method method, std::string_view route, unsigned status, std::chrono::duration<double> time) {
  const void* key = route.empty() ? nullptr : route.data();
  Series& series = series_[key].at(static_cast<std::size_t>(method));
  const auto labels = [&] {
    return metrics::Labels{{"method", std::string(to_string(method))}, {"route", route.empty() ? "none" : std::string(route)}};
  };
  if (series.duration == nullptr) {
    series.duration = &metrics::histogram("http_request_duration_seconds", "Time from a request's head to the end of its answer", labels());
  }
  series.duration->observe(time);
  for (const auto& [known, counter] : series.by_status) {
    if (known == status) return counter->add();
  }
  auto with_status = labels();
  with_status.emplace_back("status", std::to_string(status));
  series.by_status.emplace_back(status, &metrics::counter("http_requests_total", "Requests answered", with_status));
  series.by_status.back().second->add();
}

}  // namespace loquat::http
