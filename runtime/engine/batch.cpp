#include "runtime/engine/batch.h"

#include <google/protobuf/io/coded_stream.h>

namespace weft::engine {

void append_event(const v1::Event& event, std::string& batch) {
  const std::size_t size = event.ByteSizeLong();
  std::uint8_t length[10];
  const std::uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(size, length);
  batch.append(reinterpret_cast<const char*>(length), static_cast<std::size_t>(end - length));
  const std::size_t at = batch.size();
  batch.resize(at + size);
  event.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(batch.data() + at));
}

Result<std::vector<v1::Event>> read_batch(std::string_view batch) {
  std::vector<v1::Event> events;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(batch.data()),
                                            static_cast<int>(batch.size()));
  while (in.CurrentPosition() < static_cast<int>(batch.size())) {
    std::uint64_t size = 0;
    const bool sized = in.ReadVarint64(&size) && size <= batch.size() - static_cast<std::size_t>(in.CurrentPosition());
    if (!sized) return data_loss("a batch of events in the journal is damaged: a length does not fit");
    const auto at = static_cast<std::size_t>(in.CurrentPosition());
    if (!events.emplace_back().ParseFromArray(batch.data() + at, static_cast<int>(size))) {
      return data_loss("a batch of events in the journal is damaged: an event cannot be read");
    }
    in.Skip(static_cast<int>(size));
  }
  return events;
}

}  // namespace weft::engine
