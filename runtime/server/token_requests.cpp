#include "runtime/server/token_requests.h"

#include "base/time.h"

namespace weft::server {
namespace {

v1::Token message_of(const Token& token) {
  v1::Token message;
  message.set_name(token.name);
  message.set_scope(to_text(token.scope));
  message.set_made_at_us(token.made_at.time_since_epoch().count());
  if (token.revoked_at) message.set_revoked_at_us(token.revoked_at->time_since_epoch().count());
  return message;
}

}  // namespace

Result<v1::TokensNewResponse> TokenRequests::make(const v1::TokensNewRequest& request) const {
  const Time now = SystemClock().now();
  v1::TokensNewResponse response;
  WEFT_TRY(*response.mutable_secret(), tokens_.make(request.name(), request.scope(), now));
  WEFT_TRY(const Scope scope, parse_scope(request.scope()));
  *response.mutable_token() = message_of({request.name(), scope, now, std::nullopt});
  return response;
}

Result<v1::TokensListResponse> TokenRequests::list(const v1::TokensListRequest&) const {
  WEFT_TRY(const std::vector<Token> all, tokens_.list());
  v1::TokensListResponse response;
  for (const Token& token : all) *response.add_tokens() = message_of(token);
  return response;
}

Result<v1::TokensRevokeResponse> TokenRequests::revoke(const v1::TokensRevokeRequest& request) const {
  v1::TokensRevokeResponse response;
  WEFT_TRY(const Token token, tokens_.revoke(request.name(), SystemClock().now()));
  *response.mutable_token() = message_of(token);
  return response;
}

}  // namespace weft::server
