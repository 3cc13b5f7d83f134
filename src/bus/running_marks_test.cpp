#include "bus/running_marks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "testing/temporary.h"

namespace loquat::bus {
namespace {

using loquat::testing::TemporaryDirectory;

/// A process that dies while it decides the events given.
void die_while_deciding(const std::string& directory, std::int64_t first, std::int64_t second) {
  const pid_t child = fork();
  if (child == 0) {
    RunningMarks marks(directory);
    const RunningMarks::Mark one(marks, first);
    const RunningMarks::Mark two(marks, second);
    {
      const RunningMarks::Mark done(marks, 99);
    }
    _exit(1);  // no destructor runs, as with kill -9
  }
  int status = 0;
  waitpid(child, &status, 0);
}

TEST(RunningMarks, OutliveAProcessThatDies) {
  const TemporaryDirectory directory;
  die_while_deciding(directory.path().string(), 7, 8);
  RunningMarks marks(directory.path().string());
  auto suspects = marks.take_suspects();
  std::ranges::sort(suspects);
  EXPECT_EQ(suspects, (std::vector<std::int64_t>{7, 8}));
  EXPECT_TRUE(marks.take_suspects().empty()) << "each death is counted once";
}

TEST(RunningMarks, OfALivingProcessAreNoSuspects) {
  const TemporaryDirectory directory;
  RunningMarks living(directory.path().string());
  const RunningMarks::Mark mark(living, 5);
  RunningMarks other(directory.path().string());
  EXPECT_TRUE(other.take_suspects().empty());
}

TEST(RunningMarks, AnOrderlyEndLeavesNothing) {
  const TemporaryDirectory directory;
  {
    RunningMarks marks(directory.path().string());
    const RunningMarks::Mark mark(marks, 5);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(RunningMarks, WithoutAWritableDirectoryWorkInMemory) {
  RunningMarks marks("/nonexistent/directory");
  const RunningMarks::Mark mark(marks, 5);
  EXPECT_TRUE(marks.take_suspects().empty());
}

}  // namespace
}  // namespace loquat::bus
