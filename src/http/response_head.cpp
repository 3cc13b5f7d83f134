#include "http/response_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/text.h"
#include "http/errors.h"

namespace loquat::http {
namespace {

bool is_ours(std::string_view name) noexcept {
  const auto is = [name](std::string_view other) { return text::equal_ignoring_ascii_case(name, other); };
  switch (name.size()) {
    case 4: return is("Date");
    case 10: return is("Connection");
    case 12: return is("X-Request-ID");
    case 14: return is("Content-Length");
    case 17: return is("Transfer-Encoding");
    default: return false;
  }
}

bool is_control(char c) noexcept { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  const auto start = out.size();
  out += value;
  if (std::ranges::any_of(value, is_control)) {
    std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), is_control, ' ');
  }
  out += "\r\n";
}

void append_status_line(std::string& out, unsigned status, bool is_http_1_0) {
  if (status == 200 && !is_http_1_0) {
    out += "HTTP/1.1 200 OK\r\n";
    return;
  }
  fmt::format_to(std::back_inserter(out), "HTTP/1.{} {} {}\r\n", is_http_1_0 ? 0 : 1, status, reason_phrase(status));
}

}  // namespace

bool has_no_body(unsigned status) noexcept { return status < 200 || status == 204 || status == 304; }

void append_head(std::string& out, const Response& response, const HeadExtras& extras) {
  append_status_line(out, response.status, extras.is_http_1_0);
  for (const auto& [name, value] : response.headers.all()) {
    if (!is_ours(name)) append_field(out, name, value);
  }
  if (extras.is_chunked) {
    if (!extras.is_http_1_0) out += "Transfer-Encoding: chunked\r\n";
  } else if (!has_no_body(response.status)) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", response.body.size());
  }
  out += "X-Content-Type-Options: nosniff\r\nX-Request-ID: ";
  out += extras.request_id;
  out += "\r\nDate: ";
  out += extras.date;
  out += "\r\n";
  if (!extras.keep_alive) {
    out += "Connection: close\r\n";
  } else if (extras.is_http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

std::string make_http_date(std::int64_t seconds_since_1970) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds_since_1970)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days.at(std::chrono::weekday(day).c_encoding()),
                     static_cast<unsigned>(date.day()), months.at(static_cast<unsigned>(date.month()) - 1), static_cast<int>(date.year()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

}  // namespace loquat::http
