#pragma once

#include <array>
#include <chrono>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/metrics.h"
#include "http/message.h"

namespace loquat::http {

/// http_requests_total and http_request_duration_seconds. One object a loop: it keeps references to the series it has
/// used, so that no request takes the registry's lock. Not thread-safe.
class RequestMetrics {
 public:
  /// `route`: the pattern's own text (it must live as long as this object), or empty for what no route took.
  void count(Method method, std::string_view route, unsigned status, std::chrono::duration<double> time);

 private:
  struct Series {
    metrics::Histogram* duration = nullptr;
    std::vector<std::pair<unsigned, metrics::Counter*>> by_status;
  };
  /// By the address of the pattern's text.
  std::unordered_map<const void*, std::array<Series, 9>> series_;
};

}  // namespace loquat::http
