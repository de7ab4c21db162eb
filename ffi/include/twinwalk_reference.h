/* The reference of Twinwalk in C: the x86-64 page walk without time, and a judge of what a memory-management unit answers.
 *
 * SDM vol. 3A, 4.5 to 4.8 and 4.10. Counterpart: ffi/src/abi.rs and ffi/src/border.rs, which ffi/tests/ hold against this file.
 * docs/reference-in-c.md explains by examples.
 *
 * Rules of the whole file
 *   Threads     A reference is used by one thread at a time, which may be another each time; two references share nothing. There is no
 *               global state. A memory callback must not call back into the reference that calls it.
 *   Errors      A negative code: nothing was done, and twinwalk_last_error says why in words. No function ends the process.
 *   Strings     UTF-8, ended by a zero. Those of a reference stay valid until the next call with that reference.
 *   Structures  The first member is struct_size: set it to sizeof of the structure, also where the library writes the rest. Another size
 *               is refused. Members called reserved are 0.
 *   Versions    Compare TWINWALK_REFERENCE_API_VERSION with twinwalk_reference_api_version() once at the start.
 *   Time        An event is one call that reports one. Events are counted from 0, and their order is the order of the calls.
 */
#ifndef TWINWALK_REFERENCE_H
#define TWINWALK_REFERENCE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TWINWALK_REFERENCE_API_VERSION 1u

/* Verdicts. */
enum {
  TWINWALK_LEGAL = 0,       /* legal, and what memory as it stands says */
  TWINWALK_LEGAL_STALE = 1, /* legal, though memory says something else by now: cached, and not invalidated since */
  TWINWALK_ILLEGAL = 2,     /* not legal; twinwalk_explanation says why. The judge goes on */
  TWINWALK_UNJUDGED = 3     /* neither: more has happened to these entries since they were invalidated than is kept */
};

/* Errors. */
enum {
  TWINWALK_ERROR_NULL = -1,          /* a pointer is null */
  TWINWALK_ERROR_STRUCT_SIZE = -2,   /* struct_size: this header is not that of the library */
  TWINWALK_ERROR_ARGUMENT = -3,      /* a value is out of range */
  TWINWALK_ERROR_UNKNOWN_TAG = -4,   /* no request with this tag is outstanding */
  TWINWALK_ERROR_DUPLICATE_TAG = -5, /* a request with this tag is outstanding */
  TWINWALK_ERROR_TOO_MANY = -6,      /* 768 requests are outstanding */
  TWINWALK_ERROR_ORDER = -7,         /* the call does not fit what was reported before */
  TWINWALK_ERROR_REGISTERS = -8,     /* registers cannot have these values: a write would be #GP */
  TWINWALK_ERROR_LOST = -9,          /* after what the machine did nothing can be judged until twinwalk_reset */
  TWINWALK_ERROR_PANIC = -10         /* a defect of the library; the reference can only be destroyed */
};

/* What an access does. */
enum { TWINWALK_READ = 0, TWINWALK_WRITE = 1, TWINWALK_FETCH = 2 };

/* How a translation ends. */
enum { TWINWALK_TRANSLATED = 0, TWINWALK_PAGE_FAULT = 1, TWINWALK_GENERAL_PROTECTION = 2, TWINWALK_BUS_ERROR = 3 };

/* Sizes of pages. */
enum { TWINWALK_4K = 0, TWINWALK_2M = 1, TWINWALK_1G = 2, TWINWALK_4M = 3 };

/* Operations; operands as each line says, the others are 0. */
enum {
  TWINWALK_MOV_CR0 = 0,    /* data: the value */
  TWINWALK_MOV_CR3 = 1,    /* data: the value, with bit 63 to keep what is cached */
  TWINWALK_MOV_CR4 = 2,    /* data: the value */
  TWINWALK_WRMSR_EFER = 3, /* data: the value */
  TWINWALK_INVLPG = 4,     /* data: the linear address */
  TWINWALK_INVPCID = 5     /* kind: 0 to 3; data, address: the two quadwords of the descriptor */
};

/* What the machine can do. What registers turn on and off (PCID, NX, WP, SMEP, SMAP, PGE, PSE, protection keys) it always can. There is no
 * PAE paging. */
typedef struct twinwalk_features {
  uint32_t struct_size;
  uint32_t maxphyaddr_bits; /* 36 to 52 */
  uint8_t page_1g;          /* 1: a PDPTE may map 1 GiB; 0: its bit 7 is reserved */
  uint8_t five_level;       /* 1: CR4.LA57 may be set */
  uint8_t reserved[6];
  uint64_t memory_size_bytes; /* a multiple of 8; a walk beyond is a bus error. 0: 2^MAXPHYADDR */
} twinwalk_features;

/* Who asks for what. */
typedef struct twinwalk_access {
  uint32_t struct_size;
  uint32_t pkru;               /* counts while CR4.PKE = 1 */
  uint8_t kind;                /* TWINWALK_READ, _WRITE, _FETCH */
  uint8_t cpl;                 /* 0 to 3 */
  uint8_t ac;                  /* EFLAGS.AC, 0 or 1 */
  uint8_t implicit_supervisor; /* 1: an access to a descriptor table or a TSS: supervisor mode at any CPL, whatever AC */
  uint8_t reserved[4];
} twinwalk_access;

/* How a translation ends. Members that do not count in a status are 0 when the library writes them, and are not looked at when it reads. */
typedef struct twinwalk_outcome {
  uint32_t struct_size;
  uint32_t error_code; /* page fault: bits 0 P, 1 W/R, 2 U/S, 3 RSVD, 4 I/D, 5 PK */
  uint8_t status;      /* TWINWALK_TRANSLATED ... */
  uint8_t page_size;   /* translated: TWINWALK_4K ... */
  uint8_t pwt;         /* translated: the bits of the leaf, 0 or 1; all 0 with paging off */
  uint8_t pcd;
  uint8_t pat;
  uint8_t reserved[3];
  uint64_t pa; /* translated: the physical address, offset included */
  uint64_t va; /* page fault: the linear address, as CR2 gets it */
} twinwalk_outcome;

/* An entry that a walk read. */
typedef struct twinwalk_entry {
  uint64_t address; /* a multiple of 8; in 32-bit paging of 4, and the values have 32 bits */
  uint64_t before;  /* as the walk read it */
  uint64_t after;   /* as the walk leaves it: A, and in the leaf of a write D, are set. Equal to before: nothing is written */
  uint32_t level;   /* 1 PTE, 2 PDE, 3 PDPTE, 4 PML4E, 5 PML5E */
  uint32_t reserved;
} twinwalk_entry;

/* A walk. */
typedef struct twinwalk_walk {
  uint32_t struct_size;
  uint32_t entry_count; /* 0 to 5 */
  twinwalk_outcome outcome;
  twinwalk_entry entries[5]; /* from the root down */
} twinwalk_walk;

/* What was judged. A run in which stale_removed is 0 has not tried whether invalidations work. */
typedef struct twinwalk_figures {
  uint32_t struct_size;
  uint32_t outstanding;    /* requests without an answer; at the end of a run 0 */
  uint64_t events;         /* calls that reported something, with those inside */
  uint64_t responses;      /* responses judged */
  uint64_t single_outcome; /* of these, with one legal outcome only */
  uint64_t stale_observed; /* of these, legal and stale */
  uint64_t unjudged;       /* of these, not judged; in a run that is to be believed 0 */
  uint64_t entry_updates;  /* updates of A and D by the machine, judged */
  uint64_t illegal;        /* events that were not legal */
  uint64_t removed;        /* translations that were answered, and that an invalidation or a page fault then covered */
  uint64_t stale_removed;  /* of these, such as no longer agreed with memory */
} twinwalk_figures;

/* Memory of the user's own, for twinwalk_translate. */
typedef struct twinwalk_memory {
  uint32_t struct_size;
  uint32_t reserved;
  void *context; /* is handed to read */
  /* Puts the 8 bytes at address, a multiple of 8, into *value; returns 0, or anything else where no memory is (a bus error). Null: back to
   * the memory that twinwalk_store and twinwalk_update report. */
  int32_t (*read)(void *context, uint64_t address, uint64_t *value);
} twinwalk_memory;

typedef struct twinwalk_reference twinwalk_reference;

/* The library. */

/* TWINWALK_REFERENCE_API_VERSION of the header that the library was made with. */
uint32_t twinwalk_reference_api_version(void);
/* The version of the library, such as "0.1.0". Valid for ever. */
const char *twinwalk_reference_version(void);
/* sizeof of a structure as the library has it: 0 features, 1 access, 2 outcome, 3 walk, 4 figures, 5 memory; 0 of other numbers. */
uint32_t twinwalk_reference_struct_size(uint32_t number);

/* A reference: memory is all 0, the machine is in reset (registers 0, so paging is off), nothing is outstanding. On an error *reference is null.
 * NULL, STRUCT_SIZE, ARGUMENT. */
int32_t twinwalk_reference_create(const twinwalk_features *features, twinwalk_reference **reference);
/* Null is allowed. */
void twinwalk_reference_destroy(twinwalk_reference *reference);
/* The last error in words; empty if there was none. */
const char *twinwalk_last_error(const twinwalk_reference *reference);

/* The machine is reset: registers 0, nothing cached, nothing outstanding. Memory stays. */
int32_t twinwalk_reset(twinwalk_reference *reference);
/* As a reset, followed by writes that lead to these registers; nothing is cached. For a bench that does not report its boot write by write.
 * EFER: LME (8), NXE (11); LMA (10) follows from PG. REGISTERS, ORDER (something is outstanding). */
int32_t twinwalk_load_registers(twinwalk_reference *reference, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer);

/* The walk without time. */

/* Where twinwalk_translate reads entries; the structure is copied. The judge never calls it: what it knows of memory it has been told. */
int32_t twinwalk_set_memory(twinwalk_reference *reference, const twinwalk_memory *memory);
/* How va is translated for access by the registers and by memory as they stand: what a machine without caches would answer. Changes nothing:
 * the bits that the walk would set are in walk->entries[].after. ARGUMENT. */
int32_t twinwalk_translate(twinwalk_reference *reference, uint64_t va, const twinwalk_access *access, twinwalk_walk *walk);
/* The 8 bytes at an address, as they were reported. ARGUMENT: beyond memory. */
int32_t twinwalk_read(twinwalk_reference *reference, uint64_t address, uint64_t *value);

/* The judge. Report what the machine and its surroundings do, in the order in which it happens. Of one clock cycle report first responses,
 * then operations that are complete, stores, updates, requests that are accepted, operations that are accepted. Each returns a verdict or an error. */

/* Somebody other than the machine stores 8 bytes at a multiple of 8: software, another processor, the bench that fills tables. ARGUMENT. */
int32_t twinwalk_store(twinwalk_reference *reference, uint64_t address, uint64_t value);
/* The machine itself has changed 8 bytes of memory, at a multiple of 8: they hold value now. Legal is only that it sets A, or A and D, of an
 * entry that an outstanding request may use so. A compare-and-set that failed changes nothing and is not reported. ARGUMENT. */
int32_t twinwalk_update(twinwalk_reference *reference, uint64_t address, uint64_t value);
/* A request is accepted. tag is the bench's name for it, any number that no outstanding request has. ARGUMENT, DUPLICATE_TAG, TOO_MANY. */
int32_t twinwalk_request(twinwalk_reference *reference, uint64_t tag, uint64_t va, const twinwalk_access *access);
/* The request is answered. Legal is what follows from entry values that memory has held since the last invalidation that covers the page was
 * complete before the request was accepted. UNKNOWN_TAG, ARGUMENT. */
int32_t twinwalk_response(twinwalk_reference *reference, uint64_t tag, const twinwalk_outcome *outcome);
/* An operation is accepted: from here on it may take effect. One at a time. A register write waits until no request is outstanding, and from
 * its accept on none may be accepted until it is done. ARGUMENT, ORDER. */
int32_t twinwalk_operation_accepted(twinwalk_reference *reference, uint32_t op, uint64_t data, uint64_t address, uint64_t kind);
/* It is done, with fault not 0 if it raised #GP and did nothing: requests accepted from here on see its effect. Not legal is a #GP that it does not deserve,
 * or none where it does. ORDER. */
int32_t twinwalk_operation_done(twinwalk_reference *reference, int32_t fault);

/* Why the last event is what its verdict says, in one line. */
const char *twinwalk_explanation(const twinwalk_reference *reference);
/* Of the last response that was not legal, some lines: each entry of the walk with the older values that are legal there, what the response
 * follows from, the last invalidations that cover the page. */
const char *twinwalk_account(twinwalk_reference *reference);
/* What was judged. */
int32_t twinwalk_get_figures(twinwalk_reference *reference, twinwalk_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
