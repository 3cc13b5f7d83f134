#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace loquat::app {

/// What an import says while it runs and counts on the way.
class ImportReport {
 public:
  /// `bar`: draw progress on `errors`, which is a terminal.
  ImportReport(std::ostream& out, std::ostream& errors, bool bar) : out_(out), errors_(errors), bar_(bar) {}

  void begin(std::string_view part, std::int64_t total);
  void done() {
    ++taken_;
    step();
  }
  void known() {
    ++known_;
    step();
  }
  /// A document that is left out.
  void misfit(std::string_view id, std::string_view reason);
  void note(std::string_view text);
  /// Why the import is not complete, whatever was named before.
  void incomplete(std::string_view text);
  /// The counts of the part.
  void end();
  [[nodiscard]] bool is_complete() const noexcept { return complete_; }
  // Of the part.
  [[nodiscard]] std::int64_t left_out() const noexcept { return left_out_; }
  [[nodiscard]] std::int64_t seen() const noexcept { return taken_ + known_ + left_out_; }

 private:
  void step();
  void clear_bar();

  std::ostream& out_;
  std::ostream& errors_;
  bool bar_;
  std::string part_;
  std::int64_t total_ = 0;
  std::int64_t taken_ = 0;
  std::int64_t known_ = 0;
  std::int64_t left_out_ = 0;
  int drawn_ = -1;  ///< per mille
  bool complete_ = true;
};

}  // namespace loquat::app
