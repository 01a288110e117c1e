#include "workload.h"

#include <stdio.h>
#include <string.h>

enum { MAGIC = 0x5657 };

static const char *const first_names[] = {"Maria", "James", "Wei", "Fatima", "Olga", "Carlos", "Aisha",
    "Lukas", "Yuki", "Priya", "Anders", "Chloe", "Mateo", "Ngozi", "Elif", "Hannah"};
static const char *const last_names[] = {"Lopez", "Schneider", "Okafor", "Nakamura", "Petrov", "Andersson",
    "Haddad", "Kowalski", "Moreau", "Fernandes", "Yilmaz", "Rossi", "Novak", "Patel", "Nguyen", "Brown"};
static const char *const cities[] = {"Lisbon", "Hamburg", "Osaka", "Lagos", "Toronto", "Wroclaw", "Lyon",
    "Chennai", "Bergen", "Izmir", "Porto Alegre", "Leeds", "Da Nang", "Brno", "Tunis", "Valencia"};
static const char *const states[] = {"active", "pending", "suspended", "closed"};
static const char *const words[] = {"delivered", "invoice", "reminder", "customer", "asked", "for", "the",
    "second", "shipment", "returned", "without", "answer", "called", "again", "paid", "in", "full", "by",
    "transfer", "address", "changed", "see", "previous", "note", "contract", "renewed", "until", "end", "of",
    "quarter", "and", "confirmed"};
#define PICK(list, bits) (list)[(bits) % (sizeof(list) / sizeof *(list))]

static uint64_t checksum(const struct value *value) {
    struct value_header header = value->header;
    header.checksum = 0;
    uint64_t hash = 0xcbf29ce484222325u, word;
    const unsigned char *bytes = (const unsigned char *)&header;
    for (size_t i = 0; i < sizeof header; i += 8) {
        memcpy(&word, bytes + i, 8);
        hash = random_mix(hash ^ word);
    }
    size_t left = header.length - sizeof header;
    for (bytes = (const unsigned char *)value->text; left >= 8; bytes += 8, left -= 8) {
        memcpy(&word, bytes, 8);
        hash = random_mix(hash ^ word);
    }
    word = 0;
    memcpy(&word, bytes, left);
    return random_mix(hash ^ word ^ (uint64_t)left << 56);
}

// The fields that an update changes: 50 bytes of fixed length, of which a few digits differ from one write to
// the next.
static size_t changing_fields(const struct value_header *header, char *text, size_t size) {
    return (size_t)snprintf(text, size, "{\"visits\":\"%06llu\",\"updated\":\"%010llu\",\"tag\":\"%04llx\",",
        (unsigned long long)(header->seq % 1000000),
        (unsigned long long)(header->stamp / 1000000000u % 10000000000u),
        (unsigned long long)(random_mix(header->seq ^ header->index) & 0xffff));
}

static size_t body_fields(const struct value_header *header, char *text, size_t size) {
    struct random random = {header->index * 16 + header->kind};
    uint64_t bits = random_next(&random), more = random_next(&random);
    const char *first = PICK(first_names, bits), *last = PICK(last_names, bits >> 8);
    return (size_t)snprintf(text, size,
        "\"name\":\"%s "
        "%s\",\"mail\":\"%s.%s%02u@example.org\",\"city\":\"%s\",\"zip\":\"%05u\",\"state\":\"%s\","
        "\"token\":\"%016llx%013llx\",\"note\":\"",
        first, last, first, last, (unsigned)(bits >> 16) % 100, PICK(cities, bits >> 32),
        (unsigned)(bits >> 40) % 100000, PICK(states, more), (unsigned long long)random_next(&random),
        (unsigned long long)(random_next(&random) >> 12));
}

void value_seal(struct value *value, size_t length) {
    if (length < VALUE_MIN) length = VALUE_MIN;
    if (length > VALUE_MAX) length = VALUE_MAX;
    struct value_header *header = &value->header;
    header->magic = MAGIC;
    header->length = (uint32_t)length;
    size_t size = length - sizeof *header, used;
    char fields[512];
    used = changing_fields(header, fields, sizeof fields);
    used += body_fields(header, fields + used, sizeof fields - used);
    if (used > size) used = size;
    memcpy(value->text, fields, used);
    struct random random = {header->index * 16 + header->kind + 8};
    while (used < size) {
        uint64_t bits = random_next(&random);
        for (int i = 0; i < 12 && used < size; i++, bits >>= 5) {
            const char *word = words[bits % 32];
            size_t take = strlen(word) < size - used ? strlen(word) : size - used;
            memcpy(value->text + used, word, take);
            used += take;
            if (used < size) value->text[used++] = ' ';
        }
    }
    header->checksum = checksum(value);
}

const char *value_error(const struct value *value, size_t size) {
    const struct value_header *header = &value->header;
    if (size < sizeof *header) return "shorter than its header";
    if (header->magic != MAGIC) return "no value of this program (magic)";
    if (header->kind >= KIND_COUNT) return "unknown kind";
    if (header->length < VALUE_MIN || header->length > size) return "length out of range";
    if (header->checksum != checksum(value)) return "checksum does not match";
    return NULL;
}
