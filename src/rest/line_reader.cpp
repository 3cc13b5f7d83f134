#include "rest/line_reader.h"

#include <editline/readline.h>
#include <sys/stat.h>

#include <clocale>
#include <cstdlib>
#include <istream>
#include <utility>

namespace loquat::rest {
namespace {

constexpr int longest_history = 1000;

class StreamReader final : public LineReader {
 public:
  explicit StreamReader(std::istream& in) : in_(in) {}

  std::optional<std::string> read() override {
    std::string line;
    if (!std::getline(in_, line)) return std::nullopt;
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

 private:
  std::istream& in_;
};

class TerminalReader final : public LineReader {
 public:
  TerminalReader(std::string prompt, std::string history_file) : prompt_(std::move(prompt)), history_file_(std::move(history_file)) {
    // Without the user's locale libedit takes a letter beyond ASCII for several.
    (void)std::setlocale(LC_CTYPE, "");
    rl_initialize();
    using_history();
    stifle_history(longest_history);
    if (!history_file_.empty()) (void)read_history(history_file_.c_str());
  }
  ~TerminalReader() override {
    if (history_file_.empty()) return;
    const auto mask = ::umask(S_IRWXG | S_IRWXO);
    (void)write_history(history_file_.c_str());
    ::umask(mask);
  }
  TerminalReader(const TerminalReader&) = delete;
  TerminalReader& operator=(const TerminalReader&) = delete;

  std::optional<std::string> read() override {
    const std::unique_ptr<char, decltype(&std::free)> line(readline(prompt_.c_str()), &std::free);
    if (!line) return std::nullopt;
    std::string text = line.get();
    if (!text.empty() && text != last_) add_history(text.c_str());
    last_ = text;
    return text;
  }

 private:
  std::string prompt_;
  std::string history_file_;
  std::string last_;
};

}  // namespace

std::unique_ptr<LineReader> make_stream_reader(std::istream& in) { return std::make_unique<StreamReader>(in); }

std::unique_ptr<LineReader> make_terminal_reader(std::string prompt, std::string history_file) {
  return std::make_unique<TerminalReader>(std::move(prompt), std::move(history_file));
}

}  // namespace loquat::rest
