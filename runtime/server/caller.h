// Who calls: the owner of the socket, or a token.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/server_credentials.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/server/tokens.h"

namespace weft::server {

struct Caller {
  enum class Way : std::uint8_t { kSocket, kPort } way = Way::kSocket;
  std::string name;  // Of the token; empty on the socket.
  Scope scope;

  // Whose share of the server's places and bytes it is: one token is one caller, however many connections it has.
  std::string share() const { return way == Way::kSocket ? std::string("socket") : "token " + name; }
};

// The secret in `Bearer SECRET`; empty where there is none.
std::string_view bearer(std::string_view authorization);

// UNAUTHENTICATED with the sentence that says how to give a token.
Result<Token> authenticate(Tokens& tokens, std::string_view secret);

// REQUIRES: a call that its port's credentials have let through.
Result<Caller> caller_of(const grpc::CallbackServerContext& context, Tokens& tokens);

// For a port of the loopback device: no TLS, and every call but those of grpc.health.v1 brings a token. Asked before a
// message is read, so that who has none makes the server hold nothing. `tokens` outlives the server.
std::shared_ptr<grpc::ServerCredentials> port_credentials(Tokens& tokens);

}  // namespace weft::server
