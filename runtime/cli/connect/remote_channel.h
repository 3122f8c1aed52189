// A connection to a server, for the files of the command line that speak gRPC.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace weft::cli {

// To "unix:PATH" or "HOST:PORT". Connects with the first call; never through a proxy.
std::shared_ptr<grpc::Channel> channel_to(const std::string& address);

// What a call brings beside its request.
void give_token(grpc::ClientContext& context, const std::string& token);

// The error that a status means. What gRPC itself says about a connection is of no use to a person.
Error error_of(const grpc::Status& status, const std::string& address);

}  // namespace weft::cli
