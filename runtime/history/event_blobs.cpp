#include "runtime/history/event_blobs.h"

#include <vector>

namespace weft::history {

void each_blob(const google::protobuf::Message& message,
               const std::function<void(const v1::Blob& blob, const std::string& field)>& on_blob) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const auto look = [&](const google::protobuf::Message& inner) {
      const bool is_content = inner.GetDescriptor() == v1::Content::descriptor();
      if (!is_content) return each_blob(inner, on_blob);
      const auto& content = static_cast<const v1::Content&>(inner);
      if (content.has_blob()) on_blob(content.blob(), field->name());
    };
    if (!field->is_repeated()) {
      look(reflection.GetMessage(message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i)
      look(reflection.GetRepeatedMessage(message, field, i));
  }
}

}  // namespace weft::history
