#include <gtest/gtest.h>

#include "db/sql.h"

namespace loquat::db {
namespace {

std::string target(std::string_view url, Url::Kind kind) {
  const auto parsed = parse_url(url);
  EXPECT_EQ(parsed.kind, kind) << url;
  return parsed.target;
}

std::string refusal(std::string_view url) {
  try {
    static_cast<void>(parse_url(url));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.what();
  }
  return "taken";
}

TEST(DatabaseUrl, Sqlite) {
  EXPECT_EQ(target("sqlite:///data/loquat.db", Url::Kind::sqlite), "data/loquat.db");
  EXPECT_EQ(target("sqlite:////var/lib/loquat.db", Url::Kind::sqlite), "/var/lib/loquat.db");
  EXPECT_EQ(target("sqlite+aiosqlite:///x.db?check_same_thread=false", Url::Kind::sqlite), "x.db");
  for (const auto* memory : {"sqlite://", "sqlite:///", "sqlite:///:memory:", "SQLite+aiosqlite://"}) {
    EXPECT_EQ(target(memory, Url::Kind::sqlite), ":memory:") << memory;
  }
  EXPECT_NE(refusal("sqlite://relative.db").find("three slashes"), std::string::npos);
}

TEST(DatabaseUrl, PostgresAndDriverForms) {
  const auto postgres = [](std::string_view url) { return target(url, Url::Kind::postgres); };
  EXPECT_EQ(postgres("postgres://u:p@h:5432/d"), "postgresql://u:p@h:5432/d");
  EXPECT_EQ(postgres(" postgresql+asyncpg://u:p@h/d?ssl=require "), "postgresql://u:p@h/d?sslmode=require");
  EXPECT_EQ(postgres("postgresql+asyncpg://h/d?ssl=true&statement_cache_size=0"), "postgresql://h/d?sslmode=require");
  EXPECT_EQ(postgres("postgresql+psycopg2://h/d?statement_cache_size=0"), "postgresql://h/d");
  EXPECT_EQ(postgres("postgresql+psycopg:///d?host=/run/postgresql"), "postgresql:///d?host=/run/postgresql");
  EXPECT_EQ(postgres("postgresql://a:1,b:2/d?target_session_attrs=read-write"), "postgresql://a:1,b:2/d?target_session_attrs=read-write");
}

TEST(DatabaseUrl, WhatPostgresWouldRefuse) {
  EXPECT_EQ(refusal("postgresql://u:secret@h/d?schema=public"), "a PostgreSQL URL has no parameter \"schema\"");
  for (const auto* wrong :
       {"postgresql://u:secret@[::1/d", "postgresql://h/d?sslmode", "postgresql://u:secret@h:bad/d", "postgresql://u:secret@h:0/d",
        "postgresql://u:secret@a:1,b:65536/d", "postgresql://u:secret@h/d?port=1x", "postgresql://u:secret@h/d?sslmode=yes"}) {
    EXPECT_NE(refusal(wrong), "taken") << wrong;
    EXPECT_EQ(refusal(wrong).find("secret"), std::string::npos);
  }
}

TEST(DatabaseUrl, PasswordsThatAreNotEscaped) {
  const auto postgres = [](std::string_view url) { return target(url, Url::Kind::postgres); };
  EXPECT_EQ(postgres("postgresql://u:p%40ss@h/d"), "postgresql://u:p%40ss@h/d");
  EXPECT_EQ(postgres("postgresql://u:50%@h/d"), "postgresql://u:50%25@h/d");
  EXPECT_EQ(postgres("postgresql://u:a@b@h/d"), "postgresql://u:a%40b@h/d");
  EXPECT_EQ(postgres("postgresql://u:a/b#c@h/d"), "postgresql://u:a%2Fb%23c@h/d");
  EXPECT_EQ(postgres("postgresql://h:5432/d?options=x@y"), "postgresql://h:5432/d?options=x@y");
}

TEST(DatabaseUrl, Others) {
  EXPECT_EQ(target("mongodb+srv://u:p@h/d?x=y", Url::Kind::mongodb), "mongodb+srv://u:p@h/d?x=y");
  EXPECT_EQ(target("https://state:8000/x", Url::Kind::http), "https://state:8000/x");
  EXPECT_EQ(target("memory://", Url::Kind::memory), "memory://");
  EXPECT_NE(refusal("mysql+pymysql://u:p@h/d").find("MySQL"), std::string::npos);
  EXPECT_NE(refusal("mysql://u:secret@h/d").find("PostgreSQL"), std::string::npos);
  EXPECT_EQ(refusal("mysql://u:secret@h/d").find("secret"), std::string::npos);
  EXPECT_NE(refusal("dynamodb://eu-west-1").find("DynamoDB"), std::string::npos);
  for (const auto* wrong : {"", "loquat.db", "://x", "oracle://x", "file:///x"}) EXPECT_NE(refusal(wrong), "taken") << wrong;
}

TEST(DatabaseUrl, PasswordsAreMasked) {
  EXPECT_EQ(without_password("postgresql+asyncpg://u:p@h:1/d?sslmode=require"), "postgresql+asyncpg://u:***@h:1/d?sslmode=require");
  EXPECT_EQ(without_password("postgresql://u:a/b@h/d"), "postgresql://u:***@h/d");
  EXPECT_EQ(without_password("postgresql:///d?user=u&password=p"), "postgresql:///d?user=u&password=***");
  EXPECT_EQ(without_password("postgresql://h:5432/d"), "postgresql://h:5432/d");
  EXPECT_EQ(without_password("sqlite:////x.db"), "sqlite:////x.db");
  EXPECT_EQ(without_password("mongodb://u:p@a,b/d"), "mongodb://u:***@a,b/d");
  EXPECT_EQ(without_password(
                "mongodb://h/d?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:t&tlsCertificateKeyFilePassword=p"),
            "mongodb://h/d?authMechanism=MONGODB-AWS&authMechanismProperties=***&tlsCertificateKeyFilePassword=***");
  EXPECT_EQ(without_password("postgresql://h/d?pass%77ord=p&sslpassword=p&passfile=f&sslmode=require"),
            "postgresql://h/d?pass%77ord=***&sslpassword=***&passfile=***&sslmode=require");
  EXPECT_EQ(without_password("u:p@proxy:1"), "u:***@proxy:1");
  EXPECT_EQ(without_password("postgresql://u:a/b@c@h/d"), "postgresql://u:***@***@h/d");
  EXPECT_EQ(without_password("postgresql://u:1/2@h/d"), "postgresql://***@h/d");
  EXPECT_EQ(without_password("http://u:1?2@h"), "http://***@h");
}

}  // namespace
}  // namespace loquat::db
