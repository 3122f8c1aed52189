#include "runtime/server/caller.h"

#include <grpcpp/security/auth_metadata_processor.h>

#include <algorithm>

#include "runtime/server/status.h"

namespace weft::server {
namespace {

constexpr std::string_view kHealth = "/grpc.health.v1.Health/";

template <class Metadata>
std::string_view value_of(const Metadata& metadata, const char* key) {
  const auto [begin, end] = metadata.equal_range(key);
  if (begin == end || std::next(begin) != end) return {};  // Two say nothing.
  return {begin->second.data(), begin->second.size()};
}

class TokenCheck final : public grpc::AuthMetadataProcessor {
 public:
  explicit TokenCheck(Tokens& tokens) : tokens_(tokens) {}
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata*, OutputMetadata*) override {
    if (value_of(metadata, ":path").starts_with(kHealth)) return grpc::Status::OK;
    const auto token = authenticate(tokens_, bearer(value_of(metadata, "authorization")));
    return token ? grpc::Status::OK : to_grpc(token.error());
  }

 private:
  Tokens& tokens_;
};

}  // namespace

std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  const bool is_bearer = std::ranges::equal(authorization.substr(0, kScheme.size()), kScheme, {}, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  return is_bearer ? authorization.substr(kScheme.size()) : std::string_view();
}

Result<Token> authenticate(Tokens& tokens, std::string_view secret) {
  constexpr const char* kHow =
      "; a port takes `authorization: Bearer TOKEN`, where TOKEN is the content of the store's file `token` or comes "
      "from `weft token new`";
  if (secret.empty()) return Error{Code::kUnauthenticated, std::string("no token came with the call") + kHow, {}};
  auto token = tokens.find(secret);
  if (!token && token.error().code == Code::kUnauthenticated) {
    return Error{Code::kUnauthenticated, token.error().message + kHow, {}};
  }
  return token;
}

Result<Caller> caller_of(const grpc::CallbackServerContext& context, Tokens& tokens) {
  if (std::string_view(context.peer()).starts_with("unix:")) return Caller();
  WEFT_TRY(Token token, authenticate(tokens, bearer(value_of(context.client_metadata(), "authorization"))));
  return Caller{Caller::Way::kPort, std::move(token.name), std::move(token.scope)};
}

std::shared_ptr<grpc::ServerCredentials> port_credentials(Tokens& tokens) {
  auto credentials = grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  credentials->SetAuthMetadataProcessor(std::make_shared<TokenCheck>(tokens));
  return credentials;
}

}  // namespace weft::server
