#include "runtime/cli/connect/remote_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "runtime/server/address.h"
#include "runtime/server/server.h"
#include "runtime/server/status.h"

namespace weft::cli {
namespace {

// A channel, and what it needs as long as it lives.
struct Held {
  int descriptor = -1;
  std::shared_ptr<grpc::Channel> channel;
  ~Held() {
    channel.reset();
    if (descriptor >= 0) ::close(descriptor);
  }
};

// gRPC's client takes a comma in a path for the end of one address, encoded or not; such a socket is named by a
// descriptor of it. -1 where there is no need, or no socket.
int descriptor_of(const server::Address& address) {
  if (address.kind != server::Address::Kind::kUnix || address.path.find(',') == std::string::npos) return -1;
  return ::open(address.path.c_str(), O_PATH | O_CLOEXEC);
}

}  // namespace

std::shared_ptr<grpc::Channel> channel_to(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(server::kMessageBytesMax));
  arguments.SetMaxSendMessageSize(static_cast<int>(server::kMessageBytesMax));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // What listens is on this machine.
  // A host that is not this machine's has no meaning here but to gRPC.
  const auto known = server::parse_address(address);
  const auto held = std::make_shared<Held>();
  if (known) held->descriptor = descriptor_of(*known);
  const std::string target = held->descriptor >= 0 ? fmt::format("unix:/proc/self/fd/{}", held->descriptor)
                             : known               ? server::to_target(*known)
                                                   : address;
  held->channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  return {held, held->channel.get()};
}

void give_token(grpc::ClientContext& context, const std::string& token) {
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
}

Error error_of(const grpc::Status& status, const std::string& address) {
  Error error = server::from_grpc(status);
  const bool own_words = status.error_details().empty();
  if (error.code == Code::kUnavailable && own_words) {
    error.message = fmt::format("no server answers on {}", address);
  } else if (error.code == Code::kResourceExhausted && own_words &&
             status.error_message().starts_with("Received RST")) {
    error.message = fmt::format("the server on {} holds as many bytes of requests as it may; try again", address);
  } else if (error.code == Code::kUnauthenticated) {
    error.message += "; `--token-file FILE` or WEFT_TOKEN gives one to this program";
  }
  return error;
}

}  // namespace weft::cli
