#include "runtime/server/rpc_path.h"

#include <fmt/format.h>

#include "base/check.h"

namespace weft::server {

std::string rpc_path(const google::protobuf::Descriptor& request) {
  const google::protobuf::FileDescriptor& file = *request.file();
  for (int i = 0; i < file.service_count(); ++i) {
    const google::protobuf::ServiceDescriptor& service = *file.service(i);
    for (int k = 0; k < service.method_count(); ++k) {
      if (service.method(k)->input_type() == &request)
        return fmt::format("/{}/{}", service.full_name(), service.method(k)->name());
    }
  }
  die("a call was asked for with a message that is no request");
}

}  // namespace weft::server
