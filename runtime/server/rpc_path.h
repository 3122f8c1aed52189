// The path under which gRPC knows a method: "/weft.v1.Runs/Pause".
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace weft::server {

// Of the method that takes this request. REQUIRES: a message that is the request of one method in its own file; in
// weft.v1 each method has a request of its own.
std::string rpc_path(const google::protobuf::Descriptor& request);

}  // namespace weft::server
