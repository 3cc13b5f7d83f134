#include "http/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace loquat::http {
namespace {

template <class Thrown>
Response answer_to(Thrown error) {
  return make_error(std::make_exception_ptr(std::move(error)), "r1");
}

TEST(Errors, MapCodesToStatuses) {
  for (const auto& [code, status] : std::vector<std::pair<Code, unsigned>>{{Code::malformed, 400},
                                                                           {Code::invalid, 422},
                                                                           {Code::unauthenticated, 401},
                                                                           {Code::forbidden, 403},
                                                                           {Code::not_found, 404},
                                                                           {Code::conflict, 409},
                                                                           {Code::precondition_failed, 412},
                                                                           {Code::too_large, 413},
                                                                           {Code::unsupported, 415},
                                                                           {Code::too_many, 429},
                                                                           {Code::unavailable, 503}}) {
    const auto answer = answer_to(Error(code, "say \"why\""));
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.body, R"({"detail":"say \"why\""})");
    EXPECT_EQ(answer.headers.find("Retry-After").has_value(), status == 503 || status == 429);
    EXPECT_EQ(answer.headers.find("WWW-Authenticate").has_value(), status == 401);
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
  }
}

TEST(Errors, ShowListsOfIssues) {
  const auto answer = answer_to(Error(Code::invalid, "wrong").with_issues(R"([{"type":"missing","loc":["body","name"]}])"));
  EXPECT_EQ(answer.status, 422U);
  EXPECT_EQ(answer.body, R"({"detail":[{"type":"missing","loc":["body","name"]}]})");
}

TEST(Errors, TellNothingOfWhatIsNotAnError) {
  for (const auto& answer :
       {answer_to(std::runtime_error("SELECT * FROM secrets")), answer_to(Error(Code::unavailable, "Away", "10.0.0.7")), answer_to(42)}) {
    EXPECT_EQ(answer.body.find("SELECT"), std::string::npos);
    EXPECT_EQ(answer.body.find("10.0.0.7"), std::string::npos);
  }
  EXPECT_EQ(answer_to(std::runtime_error("x")).body, R"({"detail":"Internal Server Error"})");
  EXPECT_EQ(answer_to(42).status, 500U);
}

TEST(Errors, NameAllAllowedMethods) {
  const auto answer = make_method_refusal({Method::get, Method::delete_});
  EXPECT_EQ(answer.status, 405U);
  EXPECT_EQ(answer.headers.get("Allow"), "GET, DELETE");
}

TEST(Headers, CompareNamesWithoutCase) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("content-type", "b");
  EXPECT_EQ(headers.find("CONTENT-TYPE"), "a");
  EXPECT_EQ(headers.count("Content-Type"), 2U);
  headers.set("Content-type", "c");
  EXPECT_EQ(headers.count("Content-Type"), 1U);
  EXPECT_EQ(headers.get("content-type"), "c");
  EXPECT_EQ(headers.get("x"), "");
}

TEST(Request, TakesTheLastOfRepeatedParameters) {
  const Parameters parameters{{"a", "1"}, {"b", ""}, {"a", "2"}};
  EXPECT_EQ(find_parameter(parameters, "a"), "2");
  EXPECT_EQ(find_parameter(parameters, "b"), "");
  EXPECT_EQ(find_parameter(parameters, "A"), std::nullopt);
  EXPECT_THROW((void)Request().path_parameter("id"), std::logic_error);
}

}  // namespace
}  // namespace loquat::http
