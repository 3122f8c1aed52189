// The blobs that an event names.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <string>

#include "weft/v1/value.pb.h"

namespace weft::history {

// Calls `on_blob` for each blob in the message and the messages within it, with the name of the field that it is the
// value of.
void each_blob(const google::protobuf::Message& message,
               const std::function<void(const v1::Blob& blob, const std::string& field)>& on_blob);

}  // namespace weft::history
