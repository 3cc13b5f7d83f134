#include "app/import_report.h"

#include <algorithm>

namespace loquat::app {

void ImportReport::begin(std::string_view part, std::int64_t total) {
  part_ = part;
  total_ = total;
  taken_ = known_ = left_out_ = 0;
  drawn_ = -1;
}

void ImportReport::misfit(std::string_view id, std::string_view reason) {
  clear_bar();
  errors_ << part_ << ": left out _id " << id << ": " << reason << "\n";
  ++left_out_;
  complete_ = false;
  step();
}

void ImportReport::note(std::string_view text) {
  clear_bar();
  out_ << text << "\n";
}

void ImportReport::incomplete(std::string_view text) {
  clear_bar();
  errors_ << text << "\n";
  complete_ = false;
}

void ImportReport::end() {
  clear_bar();
  out_ << part_ << ": " << taken_ << " imported, " << known_ << " were there already, " << left_out_ << " left out, of " << total_ << "\n";
  out_.flush();
}

void ImportReport::step() {
  if (!bar_ || total_ <= 0) return;
  const auto now = static_cast<int>(std::min<std::int64_t>(seen() * 1'000 / total_, 1'000));
  if (now == drawn_) return;
  drawn_ = now;
  constexpr int width = 40;
  const int filled = now * width / 1'000;
  errors_ << "\r" << part_ << " [" << std::string(static_cast<std::size_t>(filled), '#')
          << std::string(static_cast<std::size_t>(width - filled), '.') << "] " << seen() << "/" << total_ << " " << std::flush;
}

void ImportReport::clear_bar() {
  if (!bar_ || drawn_ < 0) return;
  errors_ << "\r\x1b[K" << std::flush;
  drawn_ = -1;
}

}  // namespace loquat::app
