#include "runtime/server/services.h"

namespace weft::server {

TokensService::TokensService(Shared& shared) : Methods(shared), requests_(shared.tokens) {
  const auto tokens = [this]() -> Result<const TokenRequests*> { return &requests_; };
  add({Access::kSocket, Lane::kReads}, tokens, &TokenRequests::make);
  add({Access::kSocket, Lane::kReads}, tokens, &TokenRequests::list);
  add({Access::kSocket, Lane::kReads}, tokens, &TokenRequests::revoke);
}

}  // namespace weft::server
