// What can be asked about the tokens of a store: the same requests and answers as over gRPC.
#pragma once

#include "runtime/server/tokens.h"
#include "weft/v1/tokens.pb.h"

namespace weft::server {

// Thread-safe.
class TokenRequests {
 public:
  explicit TokenRequests(Tokens& tokens) : tokens_(tokens) {}
  Result<v1::TokensNewResponse> make(const v1::TokensNewRequest& request) const;
  Result<v1::TokensListResponse> list(const v1::TokensListRequest& request) const;
  Result<v1::TokensRevokeResponse> revoke(const v1::TokensRevokeRequest& request) const;

 private:
  Tokens& tokens_;
};

}  // namespace weft::server
