/* A page is remapped: what the reference says of answers before and after INVLPG.
 *
 * cc remap.c -I ffi/include target/debug/libtwinwalk_reference.a -lpthread -ldl -lm -o remap && ./remap
 */
#include "twinwalk_reference.h"
#include <stdio.h>

#define OF(type) (type){.struct_size = sizeof(type)}

static twinwalk_reference *reference;

static void answer(uint64_t tag, uint64_t pa) {
  twinwalk_access read = OF(twinwalk_access);
  twinwalk_outcome outcome = OF(twinwalk_outcome);
  read.cpl = 3;
  outcome.pa = pa;
  twinwalk_request(reference, tag, 0x1008, &read);
  int32_t verdict = twinwalk_response(reference, tag, &outcome);
  printf("%#llx: verdict %d, %s\n", (unsigned long long)pa, (int)verdict, twinwalk_explanation(reference));
}

int main(void) {
  twinwalk_features features = OF(twinwalk_features);
  twinwalk_access write = OF(twinwalk_access);
  twinwalk_walk walk = OF(twinwalk_walk);
  features.maxphyaddr_bits = 46;
  if (twinwalk_reference_api_version() != TWINWALK_REFERENCE_API_VERSION) return 2;
  if (twinwalk_reference_create(&features, &reference) != 0) return 2;
  for (uint64_t table = 0x1000; table < 0x4000; table += 0x1000) twinwalk_store(reference, table, (table + 0x1000) | 0x27);
  twinwalk_store(reference, 0x4008, 0x9067);                              /* the PTE of 0x1000: P RW US A D */
  twinwalk_load_registers(reference, 0x80010001, 0x1000, 0x20, 0x100);    /* PG WP PE, root, PAE, LME */
  write.kind = TWINWALK_WRITE;
  twinwalk_translate(reference, 0x1008, &write, &walk);
  printf("walk: %#llx, %u entries\n", (unsigned long long)walk.outcome.pa, (unsigned)walk.entry_count);
  answer(1, 0x9008);
  twinwalk_store(reference, 0x4008, 0xa067); /* software remaps the page */
  answer(2, 0x9008);                         /* cached: legal */
  twinwalk_operation_accepted(reference, TWINWALK_INVLPG, 0x1000, 0, 0);
  twinwalk_operation_done(reference, 0);
  answer(3, 0x9008); /* cached still: not legal */
  answer(4, 0xa008);
  twinwalk_reference_destroy(reference);
  return 0;
}
