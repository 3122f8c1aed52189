// A server over a fake engine on a socket of its own, and channels to it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "runtime/server/address.h"
#include "runtime/server/server.h"
#include "runtime/server/tokens.h"
#include "tests/folder.h"
#include "tests/server/fake_api.h"

namespace weft::server {

inline std::shared_ptr<grpc::Channel> channel_to(const std::string& address, int receive_bytes_max = 256 << 20) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(receive_bytes_max);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // A connection of its own.
  return grpc::CreateCustomChannel(to_target(*parse_address(address)), grpc::InsecureChannelCredentials(), arguments);
}

// Where a server listens, and what it keeps beside its store.
struct ServerPlace {
  ServerOptions options;
  Folder folder;

  ServerPlace() {
    options.grpc.push_back({"unix:" + (folder / "weft.sock")});
    options.tokens = token_files(folder / "weft.db");
  }
};

// Of a client that takes no more than its streams' first windows while nobody reads from them: with gRPC's probing of
// the bandwidth it would buffer megabytes of each itself, in this process.
inline std::shared_ptr<grpc::Channel> unread_channel_to(const Server& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(256 << 20);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
  return grpc::CreateCustomChannel(to_target(*parse_address(server.grpc_addresses().front())),
                                   grpc::InsecureChannelCredentials(), arguments);
}

inline std::unique_ptr<Server> started(engine::Api& api, const ServerOptions& options) {
  auto server = Server::start(api, options);
  if (!server) FAIL(server.error().message);
  return *std::move(server);
}

inline std::shared_ptr<grpc::Channel> channel_to(const Server& server) {
  return channel_to(server.grpc_addresses().front());
}

}  // namespace weft::server
