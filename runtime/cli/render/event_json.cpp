#include "runtime/cli/render/event_json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/render/json_view.h"

namespace weft::cli {
namespace {

Json content_json(const v1::Content& content, Holds holds) {
  if (content.has_blob()) {
    Json blob = Json::object();
    blob["sha256"] = to_hex(content.blob().sha256());
    blob["size"] = content.blob().size();
    return blob;
  }
  return bytes_json(content.inline_(), holds);
}

using google::protobuf::FieldDescriptor;

// One value of a field; `index` is -1 for a field that is not repeated.
Json field_json(const google::protobuf::Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? reflection.GetInt32(message, &field) : reflection.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? reflection.GetUInt32(message, &field) : reflection.GetRepeatedUInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? reflection.GetInt64(message, &field) : reflection.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? reflection.GetUInt64(message, &field) : reflection.GetRepeatedUInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? reflection.GetBool(message, &field) : reflection.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? reflection.GetDouble(message, &field) : reflection.GetRepeatedDouble(message, &field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? reflection.GetFloat(message, &field) : reflection.GetRepeatedFloat(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return short_name(*field.enum_type(), one ? reflection.GetEnumValue(message, &field)
                                                : reflection.GetRepeatedEnumValue(message, &field, index));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text =
          one ? reflection.GetString(message, &field) : reflection.GetRepeatedString(message, &field, index);
      return field.type() == FieldDescriptor::TYPE_BYTES ? Json(to_hex(text)) : Json(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: break;
  }
  const auto& inner =
      one ? reflection.GetMessage(message, &field) : reflection.GetRepeatedMessage(message, &field, index);
  if (const auto* content = dynamic_cast<const v1::Content*>(&inner)) {
    return content_json(*content, field.name().ends_with("_json") ? Holds::kJson : Holds::kText);
  }
  return event_json(inner);
}

}  // namespace

Json event_json(const google::protobuf::Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  Json json = Json::object();
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      json[field->name()] = field_json(message, *field, -1);
      continue;
    }
    Json list = Json::array();
    const int size = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < size; ++i) list.push_back(field_json(message, *field, i));
    json[field->name()] = std::move(list);
  }
  return json;
}

}  // namespace weft::cli
