; The installer for Windows. `cargo xtask package windows` makes it on Linux:
;
;   makensis -DVERSION=1.2.3 -DPROGRAMS=folder/with/programs [-DWINDOW] installers/windows/seacat-proxy.nsi
;
; It asks nothing but the folder; seacat-proxy-1.2.3-setup.exe /S [/D=folder] asks nothing at all, and
; uninstall.exe /S removes. Settings and identities belong to the users and stay.
;
; Exit codes: 0; 1, an older version than the installed one, or another error; 3010, done, and the computer has to
; be started anew before another user's running proxy is replaced or removed.

Unicode true
; A 64-bit installer for 64-bit programs.
Target amd64-unicode
!include "LogicLib.nsh"
!include "WordFunc.nsh"
!insertmacro VersionCompare
!insertmacro WordAdd
!insertmacro un.WordAdd

!ifndef VERSION
  !error "say -DVERSION=1.2.3"
!endif
!ifndef PROGRAMS
  !error "say -DPROGRAMS=folder with the programs"
!endif

!define NAME "SeaCat Proxy"
!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\SeaCatProxy"
!define ENVIRONMENT "SYSTEM\CurrentControlSet\Control\Session Manager\Environment"

Name "${NAME}"
OutFile "seacat-proxy-${VERSION}-setup.exe"
InstallDir "$PROGRAMFILES64\${NAME}"
RequestExecutionLevel admin
!ifdef QUICK
  SetCompressor zlib
!else
  SetCompressor /SOLID lzma
!endif
; A file that cannot be written is an error, also with /S, which would answer "ignore".
AllowSkipFiles off
ManifestDPIAware true
XPStyle on

VIProductVersion "${VERSION}.0"
VIAddVersionKey ProductName "${NAME}"
VIAddVersionKey FileDescription "${NAME}"
VIAddVersionKey FileVersion "${VERSION}"
VIAddVersionKey LegalCopyright "The authors of SeaCat Proxy, BSD-3-Clause"

Page directory
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

Function .onInit
  ; The 64-bit view: our registry keys are those of a 64-bit program.
  SetRegView 64
  ; What /D= has not chosen stays where it was.
  ${If} $INSTDIR == "$PROGRAMFILES64\${NAME}"
    ReadRegStr $0 HKLM "${KEY}" "InstallLocation"
    ${If} $0 != ""
      StrCpy $INSTDIR $0
    ${EndIf}
  ${EndIf}
  ReadRegStr $0 HKLM "${KEY}" "DisplayVersion"
  ${If} $0 != ""
    ${VersionCompare} "$0" "${VERSION}" $1
    ${If} $1 == 1
      MessageBox MB_ICONSTOP "${NAME} $0 is installed, which is newer than ${VERSION}." /SD IDOK
      SetErrorLevel 1
      Quit
    ${EndIf}
  ${EndIf}
FunctionEnd

Function un.onInit
  SetRegView 64
FunctionEnd

; Asks this user's proxy to finish its requests and end, and waits for that.
!macro StopProxy
  ${If} ${FileExists} "$INSTDIR\seacat-proxy.exe"
    nsExec::Exec '"$INSTDIR\seacat-proxy.exe" stop'
    Pop $0
    ${If} $0 == 0
      ; A minute: it lets its requests finish.
      StrCpy $1 0
      ${Do}
        ClearErrors
        FileOpen $0 "$INSTDIR\seacat-proxy.exe" a
        ${IfNot} ${Errors}
          FileClose $0
          ${ExitDo}
        ${EndIf}
        Sleep 250
        IntOp $1 $1 + 1
      ${LoopUntil} $1 == 240
    ${EndIf}
  ${EndIf}
!macroend

; Makes room for a program. One that still runs (another user's) can be renamed, and is removed at the next start.
!macro MakeRoom FILE
  ${If} ${FileExists} "$INSTDIR\${FILE}"
    ClearErrors
    Delete "$INSTDIR\${FILE}"
    ${If} ${Errors}
      GetTempFileName $0 "$INSTDIR"
      Delete $0
      Rename "$INSTDIR\${FILE}" $0
      Delete /REBOOTOK $0
    ${EndIf}
  ${EndIf}
!macroend

; The search path of all users with our folder added ("+") or removed ("-"). One that is too long for an installer
; to read comes out empty, and is left alone.
!macro ChangePath PREFIX SIGN
  ReadRegStr $0 HKLM "${ENVIRONMENT}" "Path"
  StrLen $1 "$0;$INSTDIR"
  IntOp $1 $1 + 1
  ${If} $0 != ""
  ${AndIf} $1 < ${NSIS_MAX_STRLEN}
    ${${PREFIX}WordAdd} "$0" ";" "${SIGN}$INSTDIR" $2
    ${If} $2 != $0
      WriteRegExpandStr HKLM "${ENVIRONMENT}" "Path" "$2"
      ; HWND_BROADCAST, WM_WININICHANGE: programs that are started from now on see it.
      SendMessage 0xffff 0x001a 0 "STR:Environment" /TIMEOUT=5000
    ${EndIf}
  ${EndIf}
!macroend

Section
  SetShellVarContext all
  SetOutPath "$INSTDIR"
  !insertmacro StopProxy
  !insertmacro MakeRoom "seacat-proxy.exe"
  !insertmacro MakeRoom "seacat-gateway.exe"
  File "${PROGRAMS}\seacat-proxy.exe"
  File "${PROGRAMS}\seacat-gateway.exe"
!ifdef WINDOW
  !insertmacro MakeRoom "seacat-proxy-window.exe"
  !insertmacro MakeRoom "WebView2Loader.dll"
  File "${PROGRAMS}\seacat-proxy-window.exe"
  File "${PROGRAMS}\WebView2Loader.dll"
  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\seacat-proxy-window.exe"
!endif
  WriteUninstaller "$INSTDIR\uninstall.exe"

  !insertmacro ChangePath "" "+"

  WriteRegStr HKLM "${KEY}" "DisplayName" "${NAME}"
  WriteRegStr HKLM "${KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${KEY}" "DisplayIcon" "$INSTDIR\seacat-proxy.exe"
  WriteRegStr HKLM "${KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKLM "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${KEY}" "NoModify" 1
  WriteRegDWORD HKLM "${KEY}" "NoRepair" 1
  ${If} ${RebootFlag}
    SetErrorLevel 3010
  ${EndIf}
SectionEnd

Section "Uninstall"
  SetShellVarContext all
  !insertmacro StopProxy
  Delete "$SMPROGRAMS\${NAME}.lnk"
  !insertmacro MakeRoom "seacat-proxy.exe"
  !insertmacro MakeRoom "seacat-gateway.exe"
  !insertmacro MakeRoom "seacat-proxy-window.exe"
  !insertmacro MakeRoom "WebView2Loader.dll"
  Delete "$INSTDIR\uninstall.exe"
  ; Only when it is empty: whoever put something into it wants it.
  RMDir /REBOOTOK "$INSTDIR"
  !insertmacro ChangePath "un." "-"
  DeleteRegKey HKLM "${KEY}"
  ${If} ${RebootFlag}
    SetErrorLevel 3010
  ${EndIf}
SectionEnd
