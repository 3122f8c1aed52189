#include "runtime/history/event_codec.h"

#include <google/protobuf/io/coded_stream.h>

#include "runtime/history/content_store.h"

namespace weft::history {

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

Status for_each_event(const memory::Reader& reader, std::string_view run, std::uint64_t from_seq,
                      const OnEvent& on_event) {
  constexpr std::size_t kPageBytes = std::size_t{4} << 20;
  for (std::uint64_t from = from_seq;;) {
    const auto batches = reader.events(run, from, kPageBytes);
    if (!batches) return not_read(batches.error());
    if (batches->empty()) return {};
    for (const memory::EventBatch& batch : *batches) {
      WEFT_TRY(const std::vector<v1::Event> events, read_batch(batch.events));
      for (const v1::Event& event : events) {
        if (event.seq() < from) continue;
        WEFT_TRY(const bool goes_on, on_event(event));
        if (!goes_on) return {};
      }
    }
    from = batches->back().last_seq + 1;
  }
}

}  // namespace weft::history
