#include "core/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <limits>
#include <thread>
#include <vector>

#include "core/json.h"
#include "core/log_writer.h"
#include "core/metrics.h"

namespace {

namespace json = loquat::json;
namespace log = loquat::log;
using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

/// What goes to stdout while it lives.
class CapturedStdout {
 public:
  CapturedStdout() {
    log::flush();
    ::testing::internal::CaptureStdout();
  }
  std::string end() {
    log::flush();
    return ::testing::internal::GetCapturedStdout();
  }
};

std::string logged(log::Format format, const std::function<void()>& act) {
  log::configure(log::Level::debug, format);
  CapturedStdout captured;
  act();
  const std::string text = captured.end();
  log::configure(log::Level::info, log::Format::text);
  return text;
}

TEST(Log, JsonLinesHaveTheirMembersInOrder) {
  const std::string line = logged(log::Format::json, [] {
    log::info("http", "request", {{"request_id", "r-1"}, {"status", 200}, {"seconds", 0.25}, {"slow", false}, {"big", std::uint16_t{7}}});
  });
  EXPECT_THAT(
      line,
      MatchesRegex(R"re(\{"timestamp":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z","level":"info",)re"
                   R"re("logger":"http","message":"request","request_id":"r-1","status":200,"seconds":0.25,"slow":false,"big":7\}.)re"));
}

TEST(Log, JsonIsValidWhateverTheBytes) {
  const std::string line = logged(log::Format::json, [] {
    log::warning("x", std::string_view("a\n\"\\\0\x1f\xff\xed\xa0\x80", 10),
                 {{"k\n", "\xc3"}, {"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}, {"esc", "\x1b[31m"}});
  });
  const json::value parsed = loquat::parse_json(line);
  EXPECT_EQ(loquat::string_member(parsed, "level"), "warning");
  EXPECT_EQ(loquat::string_member(parsed, "k\n"), "\uFFFD");
  EXPECT_TRUE(parsed.at("nan").is_null());
  EXPECT_TRUE(parsed.at("inf").is_null());
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
}

TEST(Log, TextLinesEscapeControlCharacters) {
  const std::string line = logged(log::Format::text, [] {
    log::error("messenger", "first\nsecond\x1b[31m\x7f\u0085\u202e é", {{"path", "/a b"}, {"q", "say \"hi\"\r"}, {"n", 5}, {"empty", ""}});
  });
  EXPECT_THAT(
      line,
      EndsWith(
          " ERROR    messenger: first\\nsecond\\u001b[31m\\u007f\\u0085\\u202e é path=\"/a b\" q=\"say \\\"hi\\\"\\r\" n=5 empty=\"\"\n"));
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
}

TEST(Log, LevelsBelowTheLowestAreLeftOut) {
  const std::string text = logged(log::Format::json, [] {
    log::configure(log::Level::warning, log::Format::json);
    EXPECT_FALSE(log::enabled(log::Level::info));
    EXPECT_TRUE(log::enabled(log::Level::critical));
    log::info("x", "not this");
    log::critical("x", "but this");
  });
  EXPECT_THAT(text, HasSubstr("but this"));
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
}

TEST(Log, AnyLengthIsALine) {
  const std::string text = logged(log::Format::json, [] { log::info("x", std::string(1'000'000, 'a') + "é"); });
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  EXPECT_LT(text.size(), 100'000U);
  (void)loquat::parse_json(text);
}

TEST(Log, LinesOfManyThreadsDoNotMix) {
  constexpr int each = 1000;
  const std::string text = logged(log::Format::json, [] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < each; ++i) log::info("x", "message", {{"thread", t}, {"i", i}});
      });
    }
    for (auto& thread : threads) thread.join();
  });
  std::vector<int> next(4, 0);
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
    const json::value line = loquat::parse_json(text.substr(begin, end - begin));
    const auto thread = static_cast<std::size_t>(line.at("thread").get_int64());
    EXPECT_EQ(line.at("i").get_int64(), next[thread]++);
  }
  EXPECT_EQ(next, std::vector<int>(4, each));
}

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_read();
    ::close(write_end);
  }
  void close_read() {
    if (read_end >= 0) ::close(read_end);
    read_end = -1;
  }
  std::string read_some() const {
    std::string buffer(65536, '\0');
    const auto got = ::read(read_end, buffer.data(), buffer.size());
    buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return buffer;
  }
};

TEST(LineWriter, AFullPipeCostsLinesButNeverBlocks) {
  const Pipe pipe;
  std::atomic<std::size_t> dropped = 0;
  {
    log::LineWriter writer(pipe.write_end, 100'000, [&](std::size_t lines) { dropped += lines; });
    const std::string line(999, 'x');
    for (int i = 0; i < 1000; ++i) writer.push(line + "\n", false);
    EXPECT_FALSE(writer.flush(10ms)) << "nobody reads";
    EXPECT_GE(dropped, 700U);
    std::size_t received = 0;
    while (received < (1000 - dropped) * 1000) received += pipe.read_some().size();
    EXPECT_TRUE(writer.flush(10s));
    EXPECT_EQ(received + dropped * 1000, 1'000'000U);
    writer.push("after\n", true);
    EXPECT_TRUE(writer.flush(10s));
    EXPECT_THAT(pipe.read_some(), HasSubstr("after\n"));
  }
}

TEST(LineWriter, ANonBlockingPipeIsWaitedFor) {
  const Pipe pipe;
  ASSERT_EQ(::fcntl(pipe.write_end, F_SETFL, O_NONBLOCK), 0);
  std::atomic<std::size_t> dropped = 0;
  log::LineWriter writer(pipe.write_end, 1'000'000, [&](std::size_t lines) { dropped += lines; });
  const std::string line(999, 'x');
  for (int i = 0; i < 500; ++i) writer.push(line + "\n", false);
  std::size_t received = 0;
  while (received < 500'000) received += pipe.read_some().size();
  EXPECT_TRUE(writer.flush(10s));
  EXPECT_EQ(dropped, 0U);
}

TEST(LineWriter, AClosedPipeKillsNobody) {
  Pipe pipe;
  pipe.close_read();
  std::atomic<std::size_t> dropped = 0;
  log::LineWriter writer(pipe.write_end, 1'000'000, [&](std::size_t lines) { dropped += lines; });
  writer.push("one\n", false);
  writer.push("two\n", false);
  EXPECT_TRUE(writer.flush(10s));
  EXPECT_EQ(dropped, 2U);
}

TEST(LineWriter, ABadDescriptorCostsLines) {
  std::atomic<std::size_t> dropped = 0;
  log::LineWriter writer(-1, 1'000'000, [&](std::size_t lines) { dropped += lines; });
  writer.push("one\n", true);
  EXPECT_TRUE(writer.flush(10s));
  EXPECT_EQ(dropped, 1U);
}

TEST(LineWriter, LinesGoOutWithoutAFlush) {
  const Pipe pipe;
  log::LineWriter writer(pipe.write_end, 1'000'000, [](std::size_t) {});
  writer.push("one\n", false);
  EXPECT_EQ(pipe.read_some(), "one\n");
  writer.push("two\n", true);
  EXPECT_EQ(pipe.read_some(), "two\n");
}

TEST(Log, DroppedLinesAreAMetric) {
  log::configure(log::Level::info, log::Format::text);
  EXPECT_THAT(loquat::metrics::serialize(), HasSubstr("loquat_log_lines_dropped_total 0\n"));
}

}  // namespace
