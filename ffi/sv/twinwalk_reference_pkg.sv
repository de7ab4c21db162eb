// Purpose: the reference of Twinwalk for SystemVerilog: DPI-C imports, and a wrapper without classes that a scoreboard calls.
// Contract: none. SDM vol. 3A, 4.5 to 4.8, 4.10. Counterpart: ffi/src/dpi.rs; ffi/include/twinwalk_reference.h says what each function means.
package twinwalk_reference_pkg;

  localparam int unsigned TwinwalkApiVersion = 1;

  // Verdicts; negative numbers are errors (the header lists them).
  localparam int TwinwalkLegal = 0, TwinwalkLegalStale = 1, TwinwalkIllegal = 2, TwinwalkUnjudged = 3;
  // Kinds of accesses, states of outcomes, operations.
  localparam byte unsigned TwinwalkRead = 0, TwinwalkWrite = 1, TwinwalkFetch = 2;
  localparam byte unsigned TwinwalkTranslated = 0, TwinwalkPageFault = 1, TwinwalkGeneralProtection = 2, TwinwalkBusError = 3;
  localparam int unsigned TwinwalkMovCr0 = 0, TwinwalkMovCr3 = 1, TwinwalkMovCr4 = 2, TwinwalkWrmsrEfer = 3, TwinwalkInvlpg = 4, TwinwalkInvpcid = 5;
  // Figures, by number.
  localparam int TwinwalkOutstanding = 0, TwinwalkEvents = 1, TwinwalkResponses = 2, TwinwalkSingleOutcome = 3, TwinwalkStaleObserved = 4,
      TwinwalkUnjudgedCount = 5, TwinwalkEntryUpdates = 6, TwinwalkIllegalCount = 7, TwinwalkRemoved = 8, TwinwalkStaleRemoved = 9;

  // Who asks for what.
  typedef struct packed {
    logic [7:0]  kind;
    logic [7:0]  cpl;
    logic        ac;
    logic        implicit_supervisor;
    logic [31:0] pkru;
  } twinwalk_access_t;

  // How a translation ends. Fields that do not count in a status are not looked at.
  typedef struct packed {
    logic [7:0]  status;
    logic [63:0] pa;
    logic [7:0]  page_size;  // 0 4 KiB, 1 2 MiB, 2 1 GiB, 3 4 MiB
    logic        pat;
    logic        pcd;
    logic        pwt;
    logic [31:0] error_code;
    logic [63:0] va;
  } twinwalk_outcome_t;

  import "DPI-C" function int unsigned twinwalk_reference_api_version();
  import "DPI-C" function string twinwalk_reference_version();
  import "DPI-C" function chandle twinwalk_dpi_create(input int unsigned maxphyaddr_bits, input byte unsigned page_1g, input byte unsigned five_level,
      input longint unsigned memory_size_bytes);
  import "DPI-C" function void twinwalk_reference_destroy(input chandle handle);
  import "DPI-C" function string twinwalk_last_error(input chandle handle);
  import "DPI-C" function string twinwalk_explanation(input chandle handle);
  import "DPI-C" function string twinwalk_account(input chandle handle);
  import "DPI-C" function int twinwalk_reset(input chandle handle);
  import "DPI-C" function int twinwalk_load_registers(input chandle handle, input longint unsigned cr0, input longint unsigned cr3,
      input longint unsigned cr4, input longint unsigned efer);
  import "DPI-C" function int twinwalk_read(input chandle handle, input longint unsigned address, output longint unsigned value);
  import "DPI-C" function int twinwalk_store(input chandle handle, input longint unsigned address, input longint unsigned value);
  import "DPI-C" function int twinwalk_update(input chandle handle, input longint unsigned address, input longint unsigned value);
  import "DPI-C" function int twinwalk_operation_accepted(input chandle handle, input int unsigned op, input longint unsigned data,
      input longint unsigned address, input longint unsigned kind);
  import "DPI-C" function int twinwalk_operation_done(input chandle handle, input int fault);
  import "DPI-C" function longint unsigned twinwalk_dpi_figure(input chandle handle, input int number);
  import "DPI-C" function int twinwalk_dpi_request(input chandle handle, input longint unsigned tag, input longint unsigned va,
      input byte unsigned kind, input byte unsigned cpl, input byte unsigned ac, input byte unsigned implicit_supervisor, input int unsigned pkru);
  import "DPI-C" function int twinwalk_dpi_response(input chandle handle, input longint unsigned tag, input byte unsigned status,
      input longint unsigned pa, input byte unsigned page_size, input byte unsigned pat, input byte unsigned pcd, input byte unsigned pwt,
      input int unsigned error_code, input longint unsigned va);
  import "DPI-C" function int twinwalk_dpi_translate(input chandle handle, input longint unsigned va, input byte unsigned kind,
      input byte unsigned cpl, input byte unsigned ac, input byte unsigned implicit_supervisor, input int unsigned pkru,
      output byte unsigned status, output longint unsigned pa, output byte unsigned page_size, output byte unsigned pat,
      output byte unsigned pcd, output byte unsigned pwt, output int unsigned error_code, output longint unsigned fault_va);

  // A reference; null if a feature is out of range, or the library is of another version than this package.
  function automatic chandle twinwalk_create(input int unsigned maxphyaddr_bits, input bit page_1g, input bit five_level,
                                             input longint unsigned memory_size_bytes);
    if (twinwalk_reference_api_version() != TwinwalkApiVersion) return null;
    return twinwalk_dpi_create(maxphyaddr_bits, {7'h0, page_1g}, {7'h0, five_level}, memory_size_bytes);
  endfunction

  // A request is accepted. tag is any number that no outstanding request has.
  function automatic int twinwalk_request(input chandle handle, input longint unsigned tag, input longint unsigned va, input twinwalk_access_t access);
    return twinwalk_dpi_request(handle, tag, va, access.kind, access.cpl, {7'h0, access.ac}, {7'h0, access.implicit_supervisor}, access.pkru);
  endfunction

  // The request is answered.
  function automatic int twinwalk_response(input chandle handle, input longint unsigned tag, input twinwalk_outcome_t outcome);
    return twinwalk_dpi_response(handle, tag, outcome.status, outcome.pa, outcome.page_size, {7'h0, outcome.pat}, {7'h0, outcome.pcd},
        {7'h0, outcome.pwt}, outcome.error_code, outcome.va);
  endfunction

  // The walk without time: 0, or an error.
  function automatic int twinwalk_translate(input chandle handle, input longint unsigned va, input twinwalk_access_t access,
                                            output twinwalk_outcome_t outcome);
    byte unsigned status, page_size, pat, pcd, pwt;
    int unsigned error_code;
    longint unsigned pa, fault_va;
    int code;
    code = twinwalk_dpi_translate(handle, va, access.kind, access.cpl, {7'h0, access.ac}, {7'h0, access.implicit_supervisor}, access.pkru,
        status, pa, page_size, pat, pcd, pwt, error_code, fault_va);
    outcome = '{status: status, pa: pa, page_size: page_size, pat: pat[0], pcd: pcd[0], pwt: pwt[0], error_code: error_code, va: fault_va};
    return code;
  endfunction

  // Whether a verdict or an error is one that a bench reports: the text says what.
  function automatic bit twinwalk_wrong(input chandle handle, input int verdict, output string text);
    text = "";
    if (verdict == TwinwalkLegal || verdict == TwinwalkLegalStale) return 0;
    text = verdict < 0 ? $sformatf("error %0d: %s", verdict, twinwalk_last_error(handle)) : twinwalk_explanation(handle);
    return 1;
  endfunction

endpackage
