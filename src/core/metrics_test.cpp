#include "core/metrics.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace {

namespace metrics = loquat::metrics;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(Metrics, TheSameNameAndLabelsAreTheSameSeries) {
  auto& one = metrics::counter("test_same_total", "Help.", {{"a", "1"}, {"b", "2"}});
  auto& two = metrics::counter("test_same_total", "Help.", {{"b", "2"}, {"a", "1"}});
  EXPECT_EQ(&one, &two);
  EXPECT_NE(&one, &metrics::counter("test_same_total", "Help.", {{"a", "1"}, {"b", "3"}}));
  one.add();
  two.add(2.5);
  EXPECT_EQ(one.value(), 3.5);
  EXPECT_THAT(metrics::serialize(), HasSubstr("loquat_test_same_total{a=\"1\",b=\"2\"} 3.5\n"));
}

TEST(Metrics, GaugesComeAndGo) {
  auto& gauge = metrics::gauge("test_pages", "Help.", {{"page", "1"}});
  gauge.set(5);
  gauge.add(-1);
  EXPECT_EQ(gauge.value(), 4);
  EXPECT_THAT(metrics::serialize(),
              HasSubstr("# HELP loquat_test_pages Help.\n# TYPE loquat_test_pages gauge\nloquat_test_pages{page=\"1\"} 4\n"));
  metrics::remove_gauge("test_pages", {{"page", "1"}});
  gauge.set(7);
  EXPECT_THAT(metrics::serialize(), Not(HasSubstr("loquat_test_pages")));
  EXPECT_EQ(&metrics::gauge("test_pages", "Help.", {{"page", "1"}}), &gauge);
  EXPECT_THAT(metrics::serialize(), HasSubstr("loquat_test_pages{page=\"1\"} 7\n"));
  metrics::remove_gauge("test_never_made", {});
}

TEST(Metrics, HistogramsHaveSecondsAsBuckets) {
  auto& histogram = metrics::histogram("test_duration_seconds", "Help.");
  histogram.observe(700us);
  histogram.observe(20s);
  const std::string text = metrics::serialize();
  EXPECT_THAT(text, HasSubstr("loquat_test_duration_seconds_bucket{le=\"0.0005\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("loquat_test_duration_seconds_bucket{le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("loquat_test_duration_seconds_bucket{le=\"10\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("loquat_test_duration_seconds_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("loquat_test_duration_seconds_count 2\n"));
}

TEST(Metrics, ForeignLabelsAreBounded) {
  EXPECT_EQ(metrics::bounded_label("test_label", "a", 2), "a");
  EXPECT_EQ(metrics::bounded_label("test_label", "b", 2), "b");
  EXPECT_EQ(metrics::bounded_label("test_label", "c", 2), "other");
  EXPECT_EQ(metrics::bounded_label("test_label", "a", 2), "a");
  EXPECT_EQ(metrics::bounded_label("test_other_label", "c", 2), "c");
  EXPECT_EQ(metrics::bounded_label("test_label_bytes", "\xff", 2), "\uFFFD");
}

TEST(Metrics, OneNameHasOneType) {
  (void)metrics::counter("test_type_total", "Help.");
  EXPECT_THROW((void)metrics::gauge("test_type_total", "Help."), std::logic_error);
}

TEST(Metrics, CountFromManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        metrics::counter("test_threads_total", "Help.", {{"t", std::to_string(i % 3)}}).add();
        metrics::gauge("test_threads", "Help.").add(t % 2 == 0 ? 1 : -1);
        metrics::histogram("test_threads_seconds", "Help.").observe(1ms);
        if (i % 500 == 0) (void)metrics::serialize();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  double sum = 0;
  for (int i = 0; i < 3; ++i) sum += metrics::counter("test_threads_total", "Help.", {{"t", std::to_string(i)}}).value();
  EXPECT_EQ(sum, 8000);
  EXPECT_EQ(metrics::gauge("test_threads", "Help.").value(), 0);
}

TEST(Metrics, PromtoolAccepts) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  metrics::counter("test_escapes_total", "Help with \\ and\nnewline.", {{"label", "quote \" backslash \\ newline \n é"}}).add();
  metrics::gauge("test_values", "Help.").set(1e300);
  const std::string path = ::testing::TempDir() + "loquat_metrics.txt";
  std::ofstream(path) << metrics::serialize();
  EXPECT_EQ(std::system(("promtool check metrics < " + path).c_str()), 0);
  std::remove(path.c_str());
}

}  // namespace
