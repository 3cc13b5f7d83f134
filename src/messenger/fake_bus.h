#pragma once

#include <exception>
#include <string>
#include <vector>

#include "bus/bus.h"

namespace loquat::messenger {

/// Keeps what was admitted. For tests.
class FakeBus final : public bus::Bus {
 public:
  std::vector<bus::Event> events;
  std::vector<bus::DeliveryReport> reports;
  std::exception_ptr failure;

  boost::asio::awaitable<void> admit(std::vector<bus::Event> admitted) override {
    if (failure) std::rethrow_exception(failure);
    for (auto& event : admitted) events.push_back(std::move(event));
    co_return;
  }
  void delivered(bus::DeliveryReport report) override { reports.push_back(std::move(report)); }
};

}  // namespace loquat::messenger
