// Which token a command gives to a server's port.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/cli/context.h"
#include "runtime/engine/config.h"

namespace weft::cli {

// Of `--token-file`, else of WEFT_TOKEN, else the store's own where `own_token_file` holds one and the port is this
// machine's and this user's: a token of all reach goes to no process of somebody else that happens to listen there.
// Empty: none, as for a socket. INVALID_ARGUMENT where a token was given for an address that is not this machine's:
// there is no TLS, so it would be read on the way.
Result<std::string> token_for(const std::string& address, const Global& global, const engine::Getenv& environment,
                              const std::string& own_token_file);

// Whether all processes that listen on the port of this machine are this user's, and there is one; as the kernel's
// tables `tcp` and `tcp6` in `folder` tell.
bool listens_as_me(int port, const std::string& folder = "/proc/self/net");

}  // namespace weft::cli
