#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "http/client_fixture.h"
#include "http/client_test_server.h"

namespace loquat::http {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

/// A certificate for 127.0.0.1 that signs itself, its authority at once.
class Identity {
 public:
  Identity() : key(EVP_EC_gen("P-256"), &EVP_PKEY_free), certificate(X509_new(), &X509_free) {
    auto* x = certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key.get());
    const std::string name = "test";
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.data()),
                               static_cast<int>(name.size()), -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    auto* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x, key.get(), EVP_sha256());
    std::string path = std::filesystem::temp_directory_path() / "loquat-ca-XXXXXX";
    const int descriptor = ::mkstemp(path.data());
    FILE* out = ::fdopen(descriptor, "w");
    PEM_write_X509(out, x);
    std::fclose(out);
    file = path;
  }
  ~Identity() { std::filesystem::remove(file); }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  Key key;
  Certificate certificate;
  std::string file;
};

/// Answers one request after the other over TLS with the protocol's version as body.
test::Server::Serve serve_tls(const Identity& identity, int newest) {
  return [&identity, newest](test::tcp::socket& socket, int) {
    std::signal(SIGPIPE, SIG_IGN);  // SSL_write knows no MSG_NOSIGNAL
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), newest);
    SSL_CTX_use_certificate(context.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
    const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), &SSL_free);
    SSL_set_fd(tls.get(), socket.native_handle());
    if (SSL_accept(tls.get()) != 1) return;
    std::array<char, 4096> buffer{};
    while (SSL_read(tls.get(), buffer.data(), static_cast<int>(buffer.size())) > 0) {
      const auto answer = test::make_answer(SSL_get_version(tls.get()));
      SSL_write(tls.get(), answer.data(), static_cast<int>(answer.size()));
    }
  };
}

ClientResponse post(Client& client, asio::io_context& loop, const test::Server& server, const std::string& host = "127.0.0.1") {
  ClientRequest request;
  request.method = "POST";
  request.url = "https://" + host + ":" + std::to_string(server.port()) + "/";
  request.body = "x";
  async::TaskGroup tasks;
  ClientResponse response;
  tasks.spawn(loop.get_executor(), "test", test::keep_response(client, std::move(request), response));
  loop.restart();
  loop.run();
  return response;
}

TEST(ClientTls, VerifiesTheServer) {
  const Identity identity;
  test::Server server(serve_tls(identity, TLS1_3_VERSION));
  asio::io_context loop;
  Client doubting({}, {&loop});
  const auto refused = post(doubting, loop, server);
  EXPECT_EQ(refused.failure, Failure::not_sent);
  EXPECT_THAT(refused.error, testing::HasSubstr("certificate"));
  Client::Settings settings;
  settings.ca_file = identity.file;
  Client trusting(settings, {&loop});
  EXPECT_EQ(post(trusting, loop, server).body, "TLSv1.3");
  EXPECT_EQ(post(trusting, loop, server).body, "TLSv1.3");
  EXPECT_EQ(post(trusting, loop, server, "localhost").failure, Failure::not_sent);  // not the certificate's name
  EXPECT_EQ(server.connections(), 3);
}

TEST(ClientTls, WantsVersionTwoAtLeast) {
  const Identity identity;
  Client::Settings settings;
  settings.ca_file = identity.file;
  asio::io_context loop;
  Client client(settings, {&loop});
  test::Server recent(serve_tls(identity, TLS1_2_VERSION));
  EXPECT_EQ(post(client, loop, recent).body, "TLSv1.2");
  test::Server old(serve_tls(identity, TLS1_1_VERSION));
  EXPECT_EQ(post(client, loop, old).failure, Failure::not_sent);
}

}  // namespace
}  // namespace loquat::http
